// Every version of the text, as a tree: undo goes to the parent, redo to the child that one came from.

let count = 0;

export class Tree {
  constructor(cells = []) {
    this.root = this.now = {id: count++, parent: null, children: [], cells, how: {kind: 'empty'}};
  }

  /** Go on to a new version, made from a given one, which is the present one by default. */
  add(cells, how, parent = this.now) {
    const node = {id: count++, parent, children: [], cells, how};
    parent.children.push(node);
    parent.last = node;
    return this.now = node;
  }

  /** Take out a version that nothing was made of yet, and go back from it, to its parent by default. */
  drop(node, back = node.parent) {
    if (node.children.length) return;
    const {parent} = node;
    parent.children = parent.children.filter(each => each !== node);
    if (parent.last === node) parent.last = parent.children.at(-1);
    if (this.now === node) this.go(back);
  }

  get canUndo() { return this.now.parent !== null; }

  get canRedo() { return this.now.last !== undefined; }

  undo() {
    if (this.canUndo) this.go(this.now.parent);
  }

  redo() {
    if (this.canRedo) this.go(this.now.last);
  }

  go(node) {
    this.now = node;
    for (let each = node; each.parent; each = each.parent) each.parent.last = each;
  }

  /** The versions in the order of a listing: {node, depth}, where only forks go deeper. */
  listed() {
    const found = [], waiting = [{node: this.root, depth: 0}];
    while (waiting.length) {
      const each = waiting.pop();
      found.push(each);
      const deeper = each.depth + (each.node.children.length > 1);
      for (const node of [...each.node.children].reverse()) waiting.push({node, depth: deeper});
    }
    return found;
  }
}

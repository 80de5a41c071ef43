import {linkOf} from './asked.js';
export const view = {get hash() { return linkOf({view: 'poem'}); }, use() {}, open() {}};

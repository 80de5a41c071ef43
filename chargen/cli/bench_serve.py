def bench_serve():
    pass

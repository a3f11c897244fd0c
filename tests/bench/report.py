def table(paths): pass
def write(paths): pass

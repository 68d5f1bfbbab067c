"""The simulator's inner loops as machine code, made by LLVM when they are first needed."""

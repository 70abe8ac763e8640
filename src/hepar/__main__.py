from hepar.cli import main

main()

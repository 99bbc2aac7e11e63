module reqpm

go 1.26

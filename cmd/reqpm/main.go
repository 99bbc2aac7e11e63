// Command reqpm turns a Git URL of a Python project into a signed dnf repository.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/cli"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	chroot.Init() // a child of our own inside its namespaces never returns from here
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := cli.Execute(ctx, version, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

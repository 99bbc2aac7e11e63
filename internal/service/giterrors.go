package service

import (
	"errors"
	"fmt"
	"strings"

	"reqpm/internal/secret"
	"reqpm/internal/source"
)

// users tells what a Git server says "no" to: nothing is better for trying again, until somebody says something else. To
// package source it is a trouble of the network too.
func users(err error) bool {
	return errors.Is(err, source.ErrAuth) || errors.Is(err, source.ErrNotFound)
}

// whatToDo adds to an error of a checkout what mends it.
func whatToDo(sub Subject, address string, err error) error {
	kind := secret.GitToken
	if origin, originErr := secret.Origin(address); originErr == nil && strings.HasPrefix(origin, "ssh:") {
		kind = secret.SSHKey
	}
	set := func(name string) string {
		return strings.TrimSuffix(fmt.Sprintf("reqpm project secret set %s %s --kind %s", sub.Project, name, kind), " --kind "+string(secret.GitToken)) // the default
	}
	held, has := secret.For(sub.Secrets, kind, address)
	switch {
	case errors.Is(err, source.ErrAuth) && has:
		return fmt.Errorf("%w; the project's secret %s was refused: it may have ended, or may not read this repository; set another (%s) and try the run again", err, held.Name, set(held.Name))
	case errors.Is(err, source.ErrAuth):
		return fmt.Errorf("%w; the repository is private, or there is none: set a secret that opens it (%s), or mend the project's address, and try the run again", err, set("git"))
	case errors.Is(err, source.ErrNotFound):
		return fmt.Errorf("%w; mend the project's address or ref, or set a secret that may read the repository (%s), and try the run again", err, set("git"))
	}
	return err
}

package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reqpm/internal/lockfile"
	"reqpm/internal/pipeline"
	"reqpm/internal/source"
)

// inProject is what --locked stands for without a file.
const inProject = "PROJECT/" + lockfile.Name

// unrecorded are the flags of a project that do not decide what is locked: where things come from, with
// which credentials, and how they are checked once they are built.
var unrecorded = []string{"ref", "token-file", "git-user", "ssh-key", "target", "index-url", "extra-index-url", "find-links", "offline", "allow-source", "allow-pure", "replace"}

// remember notes the flags registered so far: those of a project.
func (o *projectOptions) remember(cmd *cobra.Command) {
	o.flags = cmd.Flags()
	o.deciding = nil
	o.flags.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(unrecorded, f.Name) {
			o.deciding = append(o.deciding, f.Name)
		}
	})
}

func (o *projectOptions) registerLocked(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.lockPath, "locked", "", "take exactly what the lock `FILE` has; alone: reqpm.lock of the project; refuse when it does not fit")
	f.Lookup("locked").NoOptDefVal = inProject
}

// recorded are the options that decide what is locked, as a lock has them.
func (o *projectOptions) recorded() lockfile.Options {
	options := lockfile.Options{}
	for _, name := range o.deciding {
		f := o.flags.Lookup(name)
		switch value := f.Value.(type) {
		case pflag.SliceValue:
			if list := value.GetSlice(); len(list) > 0 {
				options[name] = slices.Clone(list)
			}
		default:
			if text := f.Value.String(); text != f.DefValue {
				options[name] = []string{text}
			}
		}
	}
	return options
}

// decided tells whether the command line gives any of the options that decide.
func (o *projectOptions) decided() bool {
	return slices.ContainsFunc(o.deciding, o.flags.Changed)
}

// adopt sets the options as a lock has them.
func (o *projectOptions) adopt(options lockfile.Options) error {
	for name, values := range options {
		if !slices.Contains(o.deciding, name) {
			return usagef("the lock has the option --%s, which this program does not know: make it again with 'reqpm lock'", name)
		}
		if err := setFlag(o.flags.Lookup(name), values); err != nil {
			return usagef("the lock's option --%s: %w", name, err)
		}
	}
	return nil
}

// follow reads the lock that --locked names and takes its options, which any that the command line gives must
// equal. It is called on the variable that the flags set. many: without --target, the command is for
// every target of the lock.
func (a *app) follow(ctx context.Context, o *projectOptions, where string, many bool) error {
	if o.lockPath == "" {
		return nil
	}
	path, text, err := a.lockText(ctx, o, where)
	if err != nil {
		return err
	}
	if o.locked, err = parseLock(path, text); err != nil {
		return err
	}
	if !o.flags.Changed("target") && (many || len(o.locked.Targets) == 1) {
		o.targets = targetNames(o.locked)
	}
	if !o.decided() {
		return o.adopt(o.locked.Options)
	}
	if d := lockfile.DiffOptions(o.locked.Options, o.recorded()); len(d) > 0 {
		return &pipeline.LockError{Differences: d}
	}
	return nil
}

func targetNames(lock *lockfile.File) []string {
	var names []string
	for _, t := range lock.Targets {
		names = append(names, t.Name)
	}
	return names
}

// lockText reads the lock: the file named, or that of the project. A project that is no folder is checked out
// for it, and its commit becomes the one that the command is about.
func (a *app) lockText(ctx context.Context, o *projectOptions, where string) (path string, text []byte, err error) {
	switch {
	case o.lockPath != inProject:
		path = o.lockPath
		text, err = os.ReadFile(path)
	case where != "" && !isFolder(where):
		checkout, failed := a.checkout(ctx, o, where)
		if failed != nil {
			return "", nil, failed
		}
		o.ref = checkout.Commit
		path = filepath.Join(checkout.Dir, lockfile.Name)
		text, err = readInside(checkout.Dir, lockfile.Name)
	default:
		path = filepath.Join(where, lockfile.Name)
		text, err = readInside(cmp.Or(where, "."), lockfile.Name)
	}
	if err != nil {
		return path, nil, usagef("--locked: %w; 'reqpm lock' makes one", err)
	}
	return path, text, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readInside reads a file of a project: one that lies in it, whatever links it has.
func readInside(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
		return nil, cmp.Or(err, fmt.Errorf("%s is no file", filepath.Join(dir, name)))
	}
	return root.ReadFile(name)
}

func (a *app) checkout(ctx context.Context, o *projectOptions, where string) (source.Checkout, error) {
	state, err := a.stateDir()
	if err != nil {
		return source.Checkout{}, err
	}
	if err := o.check(); err != nil {
		return source.Checkout{}, err
	}
	checkout, err := source.Fetch(ctx, o.request(where, state).Source)
	if err != nil {
		return checkout, fmt.Errorf("read the lock of %s: %w", source.Redacted(where), err)
	}
	return checkout, nil
}

package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
)

func (a *app) newArtifactsCommand() *cobra.Command {
	return a.group("artifacts", "List and download the RPMs, specs and manifests of a run",
		"Files that a run made: rpm, srpm, spec, log, manifest. "+runHelp,
		"  reqpm artifacts list app\n  reqpm artifacts get app/12 --kind rpm -o rpms",
		a.newArtifactsListCommand(), a.newArtifactsGetCommand())
}

func (a *app) newArtifactsListCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "list RUN", Short: "List the files of a run", Args: cobra.ExactArgs(1), Example: "  reqpm artifacts list app\n  reqpm artifacts list app/12 --kind rpm,srpm --json",
		ValidArgsFunction: a.completing(completeRun),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.listArtifacts(ctx, c, args[0], kind)
		}),
	}
	cmd.Flags().StringVar(&kind, "kind", "", "rpm, srpm, spec, log, manifest; several with commas")
	return cmd
}

func (a *app) listArtifacts(ctx context.Context, c *client.Client, run, kind string) error {
	r, err := findRun(ctx, c, run)
	if err != nil {
		return err
	}
	all, err := client.Collect(c.Artifacts(ctx, r.ID, kind), 0)
	if err != nil {
		return err
	}
	if a.global.json {
		return a.printJSON(map[string]any{"artifacts": all})
	}
	if len(all) == 0 {
		a.say("the run %s has no such files", run)
		return nil
	}
	rows := [][]string{{"ID", "KIND", "BYTES", "SHA-256", "NAME"}}
	for _, x := range all {
		rows = append(rows, []string{strconv.FormatInt(x.ID, 10), x.Kind, strconv.FormatInt(x.Size, 10), x.SHA256[:min(16, len(x.SHA256))], x.Name})
	}
	a.table(rows)
	return nil
}

type artifactsGetOptions struct {
	kind, output string
	force        bool
}

func (a *app) newArtifactsGetCommand() *cobra.Command {
	var o artifactsGetOptions
	cmd := &cobra.Command{
		Use: "get RUN [NAME…]", Short: "Download files of a run, checked, going on where an earlier try broke off", Args: cobra.MinimumNArgs(1),
		Long: `Download the files of a run whose names are those given (* and ? stand for any characters), or all RPMs. A file that is there
already is left alone when it is the same, and is an error when it is not, unless --force. What was broken off
(NAME.part) goes on where it broke. Each file's SHA-256 is that which the server says, or the file is not there.

` + exitCodesHelp,
		Example:           "  reqpm artifacts get app -o rpms\n  reqpm artifacts get app/12 '*.spec' --kind spec\n  reqpm artifacts get app 'python3-flask-*.rpm'",
		ValidArgsFunction: a.completing(completeRun),
		RunE: a.remote(func(ctx context.Context, c *client.Client, args []string) error {
			return a.getArtifacts(ctx, c, args[0], args[1:], o)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&o.kind, "kind", "", "rpm, srpm, spec, log, manifest; several with commas; default: rpm, and all where names are given")
	f.StringVarP(&o.output, "output", "o", ".", "folder to put them into")
	f.BoolVar(&o.force, "force", false, "replace files that are there and are others")
	return cmd
}

// gotFile is a file that was downloaded, or was there.
type gotFile struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Had    bool   `json:"had"` // it was there
}

func (a *app) getArtifacts(ctx context.Context, c *client.Client, run string, names []string, o artifactsGetOptions) error {
	for _, name := range names {
		if _, err := path.Match(name, ""); err != nil {
			return usagef("%q is no pattern: %w", name, err)
		}
	}
	if o.kind == "" && len(names) == 0 {
		o.kind = "rpm"
	}
	r, err := findRun(ctx, c, run)
	if err != nil {
		return err
	}
	all, err := client.Collect(c.Artifacts(ctx, r.ID, o.kind), 0)
	if err != nil {
		return err
	}
	wanted, err := chooseArtifacts(all, names)
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		return usagef("the run %s has no such files; see 'reqpm artifacts list %s'", run, run)
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return usagef("--output: %w", err)
	}
	root, err := os.OpenRoot(o.output)
	if err != nil {
		return usagef("--output: %w", err)
	}
	defer root.Close()
	files := []gotFile{}
	for i, x := range wanted {
		had, err := a.getArtifact(ctx, c, root, x, o.force)
		if err != nil {
			return err
		}
		files = append(files, gotFile{x.Name, filepath.Join(o.output, x.Name), x.Size, x.SHA256, had})
		if verb := "got"; !a.global.json {
			if had {
				verb = "have"
			}
			a.say("[%d/%d] %-4s %s (%d bytes)", i+1, len(wanted), verb, x.Name, x.Size)
		}
	}
	if a.global.json {
		return a.printJSON(map[string]any{"files": files})
	}
	return nil
}

// chooseArtifacts are those whose names match, each name once: builds that were reused name one file several times.
func chooseArtifacts(all []api.Artifact, names []string) ([]api.Artifact, error) {
	var list []api.Artifact
	seen := map[string]api.Artifact{}
	for _, x := range all {
		match := len(names) == 0
		for _, name := range names {
			ok, _ := path.Match(name, x.Name)
			match = match || ok
		}
		if !match {
			continue
		}
		// A server's file name is nothing that may lead elsewhere, or look like something else on a terminal.
		if x.Name == "" || x.Name != filepath.Base(x.Name) || strings.HasPrefix(x.Name, ".") || plainText(x.Name) != x.Name || strings.ContainsAny(x.Name, "\n\t") {
			return nil, fmt.Errorf("the server has a file of the name %q, which is none: %w", x.Name, client.ErrUnreachable)
		}
		old, twice := seen[x.Name]
		if twice && old.SHA256 != x.SHA256 {
			return nil, usagef("%s is several files: choose one with --kind", x.Name)
		}
		if !twice {
			seen[x.Name], list = x, append(list, x)
		}
	}
	return list, nil
}

// getArtifact downloads one file beside, and renames it when it is whole and right. had: it was there.
func (a *app) getArtifact(ctx context.Context, c *client.Client, root *os.Root, x api.Artifact, force bool) (had bool, err error) {
	same, err := sameFile(root, x)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, usagef("look at %s: %w", x.Name, err)
	case same:
		return true, nil
	case !force:
		return false, usagef("%s is there and is another file; --force replaces it", x.Name)
	}
	part := x.Name + ".part"
	f, err := root.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return false, usagef("download %s: %w", x.Name, err)
	}
	defer f.Close()
	if err := c.Download(ctx, x, f); err != nil {
		if errors.Is(err, client.ErrChecksum) {
			err = errors.Join(err, root.Remove(part))
		}
		return false, err
	}
	if err := f.Sync(); err != nil {
		return false, err
	}
	return false, root.Rename(part, x.Name)
}

// sameFile says whether a file is there with the bytes that it should have.
func sameFile(root *os.Root, x api.Artifact) (bool, error) {
	f, err := root.Open(x.Name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return n == x.Size && (x.SHA256 == "" || hex.EncodeToString(sum.Sum(nil)) == x.SHA256), err
}

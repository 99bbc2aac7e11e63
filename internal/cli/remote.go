package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/api"
	"reqpm/internal/client"
	"reqpm/internal/store"
)

// What commands that speak to a server share: which server, which token, and how people name runs and steps.

// logins are the tokens that 'reqpm login' wrote down, by the server's address.
type logins struct {
	Default string            `json:"default"`
	Servers map[string]string `json:"servers"`
}

func loginFile() string { return filepath.Join(configHome(), "reqpm", "login.json") }

// readLogins is empty where nobody logged in. A file that others may read is refused: the token is lost already.
func readLogins() (logins, error) {
	l := logins{Servers: map[string]string{}}
	path := loginFile()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return l, usagef("%s holds tokens and others can read it: revoke them, and say chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return l, usagef("read the tokens of servers: %w", err)
	}
	if err := json.Unmarshal(text, &l); err != nil || l.Servers == nil {
		return logins{Servers: map[string]string{}}, usagef("%s is not what 'reqpm login' writes (%w): remove it and log in again", path, err)
	}
	return l, nil
}

// write puts the file beside and renames it, so that a reader sees the whole.
func (l logins) write() error {
	path := loginFile()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".login-*") // 0600 from the beginning
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone when all went well
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// connect is a client of the server that was named, with the token there is for it.
func (a *app) connect() (*client.Client, error) {
	server, token := a.global.server, os.Getenv("REQPM_TOKEN")
	if server == "" || token == "" {
		l, err := readLogins()
		if err != nil {
			return nil, err
		}
		if server == "" {
			server = l.Default
		}
		if u, err := client.Address(server); err == nil && token == "" {
			token = l.Servers[u.String()]
		}
	}
	if server == "" {
		return nil, usagef("name the server: --server URL, or REQPM_SERVER, or once 'reqpm login URL'")
	}
	return a.newClient(server, token)
}

func (a *app) newClient(server, token string) (*client.Client, error) {
	c, err := client.New(client.Config{Server: server, Token: token, Version: a.version, Waiting: func(err error) { a.say("trying again: %v", err) }})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// remote makes a command's function of one that wants a client.
func (a *app) remote(do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.connect()
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, args)
	}
}

// group is a command that has others below it and does nothing itself.
func (a *app) group(use, short, long, example string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long + "\n\n" + exitCodesHelp, Example: example, Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	for _, b := range below {
		b.Args = usageOf(b.Args)
	}
	cmd.AddCommand(below...)
	return cmd
}

// whole is a number from 1, 0 for what is none.
func whole(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || text[0] == '+' {
		return 0
	}
	return n
}

const runHelp = "RUN is PROJECT/NUMBER, or PROJECT for its last run, or the run's id."

// findRun finds what people call a run.
func findRun(ctx context.Context, c *client.Client, text string) (client.RunDetail, error) {
	if id := whole(text); id > 0 {
		return c.Run(ctx, id)
	}
	project, number, numbered := strings.Cut(text, "/")
	filter := client.RunFilter{Project: project}
	if numbered {
		if filter.Number = whole(number); filter.Number == 0 {
			return client.RunDetail{}, usagef("%q: %s", text, runHelp)
		}
	}
	found, err := client.Collect(c.Runs(ctx, filter), 1)
	if client.IsStatus(err, http.StatusNotFound) {
		return client.RunDetail{}, usagef("there is no project %q that this token may see", project)
	}
	if err != nil {
		return client.RunDetail{}, err
	}
	if len(found) == 0 || numbered && found[0].Number != filter.Number {
		return client.RunDetail{}, usagef("there is no run %s", text)
	}
	return c.Run(ctx, found[0].ID)
}

// runName is what people call a run; the client is asked for the project's name once.
func (n *names) run(ctx context.Context, r api.Run) string {
	return fmt.Sprintf("%s/%d", n.project(ctx, r.Project), r.Number)
}

// names are the projects' by their ids, as far as they were asked for.
type names struct {
	c    *client.Client
	seen map[int64]string
}

func newNames(c *client.Client) *names { return &names{c: c, seen: map[int64]string{}} }

func (n *names) project(ctx context.Context, id int64) string {
	if name, ok := n.seen[id]; ok {
		return name
	}
	name := strconv.FormatInt(id, 10) // which is good wherever a name is
	if p, err := n.c.Project(ctx, name); err == nil {
		name = p.Name
	}
	n.seen[id] = name
	return name
}

// stepRef is a step that people named: a build, or a stage of a run.
type stepRef struct {
	id      int64
	name    string
	state   store.StepState
	attempt int64
}

const stepHelp = "BUILD is a build's id, or RUN/PACKAGE, where PACKAGE is NAME or NAME==VERSION, or the name of a stage (checkout, analyze, resolve,\nspecs, plan, publish, verify) where no package is called so."

// findStep finds what people call a build or a stage.
func findStep(ctx context.Context, c *client.Client, text, target string) (stepRef, error) {
	if id := whole(text); id > 0 {
		b, err := c.Build(ctx, id)
		name := b.Package
		if name == "" {
			name = fmt.Sprintf("step %d", id)
		}
		return stepRef{id, name, b.State, b.Attempt}, err
	}
	cut := strings.LastIndexByte(text, '/')
	if cut < 0 {
		return stepRef{}, usagef("%q names a run: name a package too, as in %s/NAME. %s", text, text, stepHelp)
	}
	run, what := text[:cut], text[cut+1:]
	if whole(what) > 0 {
		return stepRef{}, usagef("%q names a run: name a package too, as in %s/NAME. %s", text, text, stepHelp)
	}
	r, err := findRun(ctx, c, run)
	if err != nil {
		return stepRef{}, err
	}
	found, err := matches(ctx, c, r, what, target)
	switch {
	case err != nil:
		return stepRef{}, err
	case len(found) == 0:
		return stepRef{}, usagef("the run %s has no package and no stage %q", run, what)
	case len(found) > 1:
		var all []string
		for _, f := range found {
			all = append(all, fmt.Sprintf("%s (%d)", f.name, f.id))
		}
		return stepRef{}, usagef("%q is several: %s. Say --target, the version, or the number", text, strings.Join(all, ", "))
	}
	return found[0], nil
}

// matches are a run's steps that a name may mean.
func matches(ctx context.Context, c *client.Client, r client.RunDetail, what, target string) ([]stepRef, error) {
	builds, err := client.Collect(c.Builds(ctx, client.BuildFilter{Run: r.ID, Package: what, Target: target}), 100)
	if err != nil {
		return nil, err
	}
	var found []stepRef
	for _, b := range builds {
		found = append(found, stepRef{b.ID, b.Package + " on " + b.Target, b.State, b.Attempt})
	}
	if len(found) > 0 {
		return found, nil
	}
	for _, s := range r.Steps {
		if (string(s.Kind) == what || s.Key == what) && (target == "" || s.Target == target) {
			found = append(found, stepRef{s.ID, s.Key, s.State, s.Attempt})
		}
	}
	return found, nil
}

// when is a time for people, "-" for never.
func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// took is how long something that began took, or has taken until now.
func took(from, to *time.Time) string {
	if from == nil {
		return "-"
	}
	end := time.Now()
	if to != nil {
		end = *to
	}
	return seconds(max(0, end.Sub(*from).Seconds()))
}

// completing answers the shell's Tab from the server: soon, or with nothing.
func (a *app) completing(find func(ctx context.Context, c *client.Client, begun string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
		defer cancel()
		c, err := a.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var clean []string
		for _, word := range find(ctx, c, begun) {
			if strings.HasPrefix(word, begun) {
				clean = append(clean, plainText(word))
			}
		}
		return clean, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeProject knows the projects' names.
func completeProject(ctx context.Context, c *client.Client, begun string) []string {
	var list []string
	found, _ := client.Collect(c.Projects(ctx, begun), 50)
	for _, p := range found {
		list = append(list, p.Name)
	}
	return list
}

// completeRun knows the projects' names, and behind a slash their runs.
func completeRun(ctx context.Context, c *client.Client, begun string) []string {
	project, _, slash := strings.Cut(begun, "/")
	if !slash {
		return completeProject(ctx, c, begun)
	}
	var list []string
	found, _ := client.Collect(c.Runs(ctx, client.RunFilter{Project: project}), 50)
	for _, r := range found {
		list = append(list, fmt.Sprintf("%s/%d", project, r.Number))
	}
	return list
}

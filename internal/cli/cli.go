// Package cli is the command line: one file per command, each a constructor of its cobra
// command and a plain function that does the work. People's text goes to stderr, answers and
// --json to stdout; exit codes are those of docs/cli.md.
package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"reqpm/internal/builder"
	"reqpm/internal/engine"
	"reqpm/internal/index"
	"reqpm/internal/store"
)

// app is what every command gets: streams and the options all of them share.
type app struct {
	version        string
	stdin          io.Reader
	stdout, stderr io.Writer
	global         globalOptions
	// builder takes the place of those that there are; nil: none does.
	builder func(state string, slots int) (builder.Builder, error)
	// record stands between the commands and the index; nil: nothing does.
	record func(index.Reader) (index.Reader, error)
	// work is what the steps of the service do in tests; nil: what they do.
	work func(p *parts) map[store.Kind]engine.Handler
}

type globalOptions struct {
	state   string
	config  string
	targets string
	server  string
	json    bool
	verbose bool
}

// Execute runs one command line and returns the exit code.
func Execute(ctx context.Context, version string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return ExecuteWith(ctx, nil, version, args, stdin, stdout, stderr)
}

// ExecuteWith is Execute with a builder in place of those that there are: for tests of the whole program, whose
// builds have to be quick. The program itself has no way to it.
func ExecuteWith(ctx context.Context, builder func(state string, slots int) (builder.Builder, error), version string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{version: version, stdin: stdin, stdout: stdout, stderr: stderr, builder: builder}
	return a.execute(ctx, args)
}

func (a *app) execute(ctx context.Context, args []string) int {
	root := a.newRootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(ctx, err)
	a.printError(err, code)
	return code
}

func (a *app) newRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reqpm",
		Short: "Build a signed dnf repository from a Python project",
		Long: `ReqPM takes the Git URL of a Python project, finds its requirements, resolves them to
one consistent set for a RHEL release, builds every package from source in dependency
order, and publishes a signed dnf repository that provably installs.

` + exitCodesHelp,
		Example: `  reqpm build https://git.example.org/team/app.git --ref v2.1 --target local
  reqpm build ./checkout -r requirements/base.txt -r requirements/prod.txt --target el9
  reqpm resolve ./checkout --target el9 --json
  reqpm doctor`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
	})
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.global.state, "state", os.Getenv("REQPM_STATE"), "folder for everything ReqPM keeps (default: the XDG state directory; REQPM_STATE)")
	flags.StringVar(&a.global.config, "config", "", "configuration file (default: reqpm/reqpm.toml in the XDG configuration directory, then /etc/reqpm/reqpm.toml)")
	flags.StringVar(&a.global.targets, "targets-file", "", "file with targets of your own, [targets.NAME] (default: targets.toml beside the configuration)")
	flags.StringVar(&a.global.server, "server", os.Getenv("REQPM_SERVER"), "address of the server, for commands that ask one (default: that of 'reqpm login'; REQPM_SERVER)")
	flags.BoolVar(&a.global.json, "json", false, "one JSON document on stdout, or one event a line for commands that run")
	flags.BoolVarP(&a.global.verbose, "verbose", "v", false, "say more about what is done")
	cmd.AddCommand(
		a.newBuildCommand(), a.newPlanCommand(), a.newResolveCommand(), a.newLockCommand(), a.newWhyCommand(), a.newGraphCommand(), a.newLicensesCommand(), a.newOutdatedCommand(), a.newSpecCommand(),
		a.newTargetsCommand(), a.newLintCommand(), a.newDoctorCommand(), a.newDiagnoseCommand(), a.newCleanCommand(), a.newRefsCommand(), a.newBenchCommand(), a.newVersionCommand(), a.newServeCommand(), a.newBackupCommand(), a.newRestoreCommand(), a.newDatabaseCommand(), a.newWorkerCommand(), a.newTokenCommand(), a.newRotateKeyCommand(),
		a.newLoginCommand(), a.newLogoutCommand(), a.newProjectCommand(), a.newRepoCommand(), a.newRunCommand(), a.newLogsCommand(), a.newArtifactsCommand(), a.newQueueCommand(), a.newSearchCommand(), a.newWorkersCommand(), a.newSettingsCommand(),
	)
	for _, sub := range cmd.Commands() {
		sub.Args = usageOf(sub.Args)
	}
	return cmd
}

// usageOf makes the complaint of an argument check a mistake on the command line.
func usageOf(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
}

func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		near = fmt.Sprintf("; did you mean %q?", names[0])
	}
	return usagef("unknown command %q%s\nSee 'reqpm --help'", args[0], near)
}

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (a *app) say(format string, args ...any) {
	fmt.Fprintln(a.stderr, plainText(fmt.Sprintf(format, args...)))
}

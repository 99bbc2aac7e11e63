package cli

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"reqpm/internal/builder"
	"reqpm/internal/builder/chroot"
	"reqpm/internal/pipeline"
	"reqpm/internal/target"
)

// check is one thing that doctor looked at.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"` // the command that mends it
}

func (a *app) newDoctorCommand() *cobra.Command {
	var o projectOptions
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check that this machine can do the work, and say the command that mends what is missing", Args: cobra.NoArgs,
		Long: `Look for the programs and privileges that building needs, for a package index and for the
state directory. Ends with status 4 when something is missing.

With --server on the command line (REQPM_SERVER does not count) it looks at that server instead: whether it answers and is
ready, what the token may, and how the workers are. Without a token it ends well when the server is ready, so it serves as the
health check of a container. Ends with status 5 when the server does not answer or is not ready.`,
		Example: "  reqpm doctor\n  reqpm doctor --json\n  reqpm doctor --server https://reqpm.example.org",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("server") {
				return a.remote(a.doctorOfServer)(cmd, nil)
			}
			return a.runDoctor(cmd, o)
		},
	}
	o.registerIndex(cmd)
	return cmd
}

func (a *app) runDoctor(cmd *cobra.Command, o projectOptions) error {
	ctx := cmd.Context()
	var checks []check
	if missing := chroot.Missing(target.Host); len(missing) == 0 {
		checks = append(checks, check{Name: "programs", OK: true, Detail: "everything that builds need is here"})
	} else {
		for _, tool := range missing {
			checks = append(checks, check{Name: tool.Name, Detail: tool.Why, Fix: installCommand(tool)})
		}
	}
	if os.Geteuid() != 0 {
		checks = append(checks, check{Name: "privilege", Detail: "build roots are mounted, which needs root", Fix: "sudo reqpm …"})
	} else {
		checks = append(checks, check{Name: "privilege", OK: true, Detail: "root"})
	}
	// Not having Mock is no fault: chroot builds for the same releases.
	name, why := chooseBuilder(builderAuto, target.DNF)
	checks = append(checks, check{Name: "builder for releases", OK: true, Detail: name + ": " + why})
	if t, err := target.Local(ctx); err != nil {
		checks = append(checks, check{Name: "target local", Detail: err.Error()})
	} else {
		checks = append(checks, check{Name: "target local", OK: true, Detail: fmt.Sprintf("Python %s, rpm %s, %s", t.Python.Version, t.RPM.Version, t.Arch)})
	}
	state, err := a.stateDir()
	if err == nil {
		checks = append(checks, systemCheck(ctx, state))
	}
	if err != nil {
		checks = append(checks, check{Name: "state directory", Detail: err.Error()})
	} else {
		checks = append(checks, check{Name: "state directory", OK: true, Detail: state})
		if _, err := a.openIndex(ctx, o, state, pipeline.Indexes{}); err != nil {
			checks = append(checks, check{Name: "package index", Detail: err.Error()})
		} else {
			checks = append(checks, check{Name: "package index", OK: true, Detail: "address known"})
		}
	}
	return a.endChecks(checks, builder.ErrMissingTool)
}

// endChecks prints what was found; bad is what it means when something is not as it should be.
func (a *app) endChecks(checks []check, bad error) error {
	missing := 0
	for _, c := range checks {
		if !c.OK {
			missing++
		}
	}
	if a.global.json {
		if err := a.printJSON(map[string]any{"ok": missing == 0, "checks": checks}); err != nil {
			return err
		}
	} else {
		a.printChecks(checks)
	}
	if missing > 0 {
		return fmt.Errorf("%w: %d of %d checks failed", bad, missing, len(checks))
	}
	return nil
}

// installCommand is the one command that brings a tool, for the package manager of this machine.
func installCommand(t chroot.Tool) string {
	if _, err := exec.LookPath("apt-get"); err == nil {
		return "sudo apt-get install -y " + t.Apt
	}
	return "sudo dnf install -y " + t.Dnf
}

func (a *app) printChecks(checks []check) {
	var rows [][]string
	for _, c := range checks {
		mark := "ok"
		if !c.OK {
			mark = "MISSING"
		}
		rows = append(rows, []string{mark, c.Name, c.Detail})
		if c.Fix != "" && !c.OK {
			rows = append(rows, []string{"", "", "mend it with: " + c.Fix})
		}
	}
	a.table(rows)
}

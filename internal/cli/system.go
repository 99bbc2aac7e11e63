package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"reqpm/internal/apt"
	"reqpm/internal/native"
	"reqpm/internal/pipeline"
	"reqpm/internal/plan"
)

// aptDir is where the state directory keeps what apt downloads.
func aptDir(state string) string { return filepath.Join(state, "apt") }

// systemPackages brings packages of this machine's distribution into builds for target local: apt's,
// on Debian and Ubuntu; nil elsewhere.
func (a *app) systemPackages(state string, offline bool, report func(pipeline.Event)) pipeline.SystemPackages {
	if !apt.Here() {
		return nil
	}
	return apt.New(apt.Config{Dir: aptDir(state), Offline: offline, Report: func(line string) {
		if report != nil {
			report(pipeline.Event{Event: "note", Stage: "distribution", Message: line})
		}
	}})
}

// fetchLine says what builds get of the machine's distribution, "" for nothing: a line for each set
// of packages, with the builds that get it.
func fetchLine(p *plan.Plan) string {
	builds := map[string][]string{}
	var sets []string
	seen := map[plan.Fetched]bool{}
	var bytes int64
	for _, id := range p.Order() {
		n := p.Node(id)
		if n.Decision != plan.Build || len(n.Fetch) == 0 {
			continue
		}
		var names []string
		for _, f := range n.Fetch {
			names = append(names, f.Name+" "+f.Version)
			if !seen[f] {
				seen[f], bytes = true, bytes+f.Bytes
			}
		}
		set := strings.Join(names, ", ")
		if builds[set] == nil {
			sets = append(sets, set)
		}
		builds[set] = append(builds[set], n.Name)
	}
	if len(sets) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d packages of this distribution (%s) are laid over it for builds, and not installed:", len(seen), apt.Bytes(bytes))
	for _, set := range sets {
		text += fmt.Sprintf("\n  %s: %s", strings.Join(builds[set], ", "), set)
	}
	return text
}

// systemCheck says whether libraries and tools that builds need can be fetched, and which tools
// would be.
func systemCheck(ctx context.Context, state string) check {
	const name = "distribution packages"
	if !apt.Here() {
		return check{Name: name, OK: true, Detail: "libraries and tools that builds need come from the target's repositories"}
	}
	missing := native.MissingTools(fileExists)
	var names []string
	for _, n := range missing {
		debian, _ := n.Debian()
		names = append(names, debian...)
	}
	have, err := apt.New(apt.Config{Dir: aptDir(state), Offline: true}).Candidates(ctx, names)
	if err != nil {
		return check{Name: name, Detail: err.Error(), Fix: "apt-get update"}
	}
	var fetched []string
	for _, n := range missing {
		debian, newest := n.Debian()
		offered := map[string]string{}
		for _, d := range debian {
			if v := have[d]; v != "" && (newest || len(offered) == 0) {
				offered[d] = v
			}
		}
		if best := apt.Newest(ctx, offered); best != "" {
			fetched = append(fetched, best+" "+offered[best])
		}
	}
	detail := "libraries and tools that are not installed are fetched with apt and laid over this system for one build; --no-distribution-packages forbids it"
	if len(fetched) > 0 {
		detail += "; of tools, when a package needs them: " + strings.Join(fetched, ", ")
	}
	return check{Name: name, OK: true, Detail: detail}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

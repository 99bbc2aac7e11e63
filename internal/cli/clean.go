package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/builder/chroot"
	"reqpm/internal/pipeline"
)

func (a *app) newCleanCommand() *cobra.Command {
	var o cleanOptions
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Remove old runs and caches that can be made again",
		Long: `Remove the logs of old runs, base roots that no run opened for as long, build roots above the space
they may take (those used longest ago first), and what earlier processes left in the scratch
folder. What a run uses stays. With --all also everything that can be made again: the index cache,
base roots, the cache of builds; nothing may run meanwhile.
Published repositories and the signing key are never touched.`,
		Example: "  reqpm clean --dry-run\n  reqpm clean --older-than 30\n  reqpm clean --all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.days < 0 || o.rootsGB < 0 {
				return usagef("--older-than and --roots-gb cannot be negative")
			}
			state, err := a.stateDir()
			if err != nil {
				return err
			}
			return a.runClean(cmd.Context(), state, o)
		},
	}
	cmd.Flags().BoolVarP(&o.dryRun, "dry-run", "n", false, "say what would go, remove nothing (build roots are not looked at)")
	cmd.Flags().BoolVar(&o.all, "all", false, "also remove every cache")
	cmd.Flags().IntVar(&o.days, "older-than", 14, "days that logs of runs and unused base roots are kept")
	cmd.Flags().IntVar(&o.rootsGB, "roots-gb", 20, "space in GB that kept build roots may take")
	return cmd
}

type cleanOptions struct {
	dryRun, all   bool
	days, rootsGB int
}

// removed is one folder that clean took away.
type removed struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

func (a *app) runClean(ctx context.Context, state string, o cleanOptions) error {
	age := time.Duration(o.days) * 24 * time.Hour
	paths, err := pipeline.Removable(state, age, o.all)
	if err != nil {
		return err
	}
	list := []removed{}
	var sum int64
	for _, path := range paths {
		size := treeSize(path)
		if !o.dryRun {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("clean: %w", err)
			}
		}
		list = append(list, removed{path, size})
		sum += size
	}
	var pruned chroot.Pruned
	if !o.dryRun && !o.all {
		b, err := a.newBuilder("", state, 0)
		if err != nil {
			return err
		}
		if pruned, err = b.prune(ctx, int64(o.rootsGB)*1e9, age); err != nil {
			return err
		}
		sum += pruned.Bytes
	}
	if a.global.json {
		return a.printJSON(map[string]any{"removed": list, "bytes": sum, "dry_run": o.dryRun, "base_roots": pruned.Bases, "build_roots": pruned.Layers})
	}
	verb := "removed"
	if o.dryRun {
		verb = "would remove"
	}
	for _, r := range list {
		a.say("%s %s (%.1f MB)", verb, r.Path, float64(r.Bytes)/1e6)
	}
	if pruned.Bases+pruned.Layers > 0 {
		a.say("removed %d base roots and %d build roots (%.1f MB)", pruned.Bases, pruned.Layers, float64(pruned.Bytes)/1e6)
	}
	a.say("%s %d folders, %.1f MB", verb, len(list)+pruned.Bases+pruned.Layers, float64(sum)/1e6)
	return nil
}

func treeSize(root string) int64 {
	var sum int64
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"reqpm/internal/pipeline"
)

func (a *app) newCleanCommand() *cobra.Command {
	var dryRun, all bool
	var days int
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Remove old runs and caches that can be made again",
		Long: `Remove the logs of old runs and what earlier processes left in the scratch folder. With --all also
everything that can be made again: the index cache, base roots, the cache of builds.
Published repositories and the signing key are never touched.`,
		Example: "  reqpm clean --dry-run\n  reqpm clean --older-than 30\n  reqpm clean --all",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			state, err := a.stateDir()
			if err != nil {
				return err
			}
			return a.runClean(state, time.Duration(days)*24*time.Hour, all, dryRun)
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would go, remove nothing")
	cmd.Flags().BoolVar(&all, "all", false, "also remove every cache")
	cmd.Flags().IntVar(&days, "older-than", 14, "days that the logs of runs are kept")
	return cmd
}

// removed is one folder that clean took away.
type removed struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

func (a *app) runClean(state string, age time.Duration, all, dryRun bool) error {
	paths, err := pipeline.Removable(state, age, all)
	if err != nil {
		return err
	}
	list := []removed{}
	var sum int64
	for _, path := range paths {
		size := treeSize(path)
		if !dryRun {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("clean: %w", err)
			}
		}
		list = append(list, removed{path, size})
		sum += size
	}
	if a.global.json {
		return a.printJSON(map[string]any{"removed": list, "bytes": sum, "dry_run": dryRun})
	}
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	for _, r := range list {
		a.say("%s %s (%.1f MB)", verb, r.Path, float64(r.Bytes)/1e6)
	}
	a.say("%s %d folders, %.1f MB", verb, len(list), float64(sum)/1e6)
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

package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"reqpm/internal/service"
)

// What a process of the service knows of the settings of the server: the base that configuration file and command line
// make, and what is stored, which counts at once.

// serverFile is [server] of reqpm.toml: what counts where the server has nothing stored. Pointers tell what is there.
type serverFile struct {
	RetentionDays  *int     `toml:"retention-days"`
	RetentionRuns  *int     `toml:"retention-runs"`
	LogDays        *int     `toml:"log-days"`
	MinFree        *int64   `toml:"min-free"`
	DefaultTargets []string `toml:"default-targets"`
}

// minFreeGiven tells whether somebody gave --min-free.
func (o *serviceOptions) minFreeGiven() bool { return o.flags != nil && o.flags.Changed("min-free") }

// settingsBase lays configuration file and command line over the defaults.
func (a *app) settingsBase(minFree int64, given bool) (service.SettingsBase, error) {
	base := service.NewSettingsBase()
	conf, err := a.readConfig()
	if err != nil {
		return base, err
	}
	for _, x := range []struct {
		name  string
		value any
		is    bool
		from  string
	}{
		{"retention_days", conf.Server.RetentionDays, conf.Server.RetentionDays != nil, service.FromFile},
		{"retention_runs", conf.Server.RetentionRuns, conf.Server.RetentionRuns != nil, service.FromFile},
		{"log_days", conf.Server.LogDays, conf.Server.LogDays != nil, service.FromFile},
		{"min_free", conf.Server.MinFree, conf.Server.MinFree != nil, service.FromFile},
		{"default_targets", conf.Server.DefaultTargets, conf.Server.DefaultTargets != nil, service.FromFile},
		{"min_age", conf.Index.MinAge, conf.Index.MinAge != "", service.FromFile},
		{"distribution", conf.Distribution.Policy, conf.Distribution.Policy != "", service.FromFile},
		{"min_free", minFree, given, service.FromFlag},
	} {
		if !x.is {
			continue
		}
		if base, err = base.With(x.name, x.value, x.from); err != nil {
			return base, usagef("%s: %w", x.from, err)
		}
	}
	return base, nil
}

// settings are those that count now.
func (p *parts) settings(ctx context.Context) (service.ServerSettings, error) {
	return p.base.Read(ctx, p.store.Queries)
}

// health says how much room there is for builds, and for what they leave: the least of the folders,
// which may be on disks of their own.
func (p *parts) health() func() (int64, string) {
	var mu sync.Mutex
	least := int64(-1) // as it was when the database answered last
	return func() (int64, string) {
		mu.Lock()
		defer mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if now, err := p.settings(ctx); err == nil || least < 0 {
			least = now.MinFree
		}
		free, problem := int64(-1), ""
		for _, folder := range []string{".", "blobs", "logs", "repos"} {
			var s unix.Statfs_t
			err := unix.Statfs(filepath.Join(p.state, folder), &s)
			if errors.Is(err, unix.ENOENT) && folder != "." {
				continue // made when there is something to put there
			}
			if err != nil {
				return -1, "the state directory, " + folder + ": " + err.Error()
			}
			here := int64(s.Bavail) * s.Bsize
			if free >= 0 && here >= free {
				continue
			}
			free = here
			if here < least {
				problem = fmt.Sprintf("only %s are free in %s of the state directory, and %s must be (setting min_free)", bytesText(here), folder, bytesText(least))
			}
		}
		if p.bucket != nil && problem == "" {
			if err := p.bucket.Problem(); err != nil {
				problem = "the bucket: " + err.Error()
			}
		}
		return free, strings.Replace(problem, " in . of ", " in ", 1)
	}
}

// diskSize is how many bytes the disk of a folder has, 0 when that cannot be told.
func diskSize(folder string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return 0
	}
	return int64(s.Blocks) * s.Bsize
}

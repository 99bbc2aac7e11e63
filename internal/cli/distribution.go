package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"reqpm/internal/distro"
	"reqpm/internal/pep508"
	"reqpm/internal/pipeline"
)

// distributionOptions are the flags about what the target's distribution has.
type distributionOptions struct {
	noSystem                bool // fetch nothing with apt
	policy, tools           string
	reuse, noReuse, replace []string
}

func (o *distributionOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.policy, "distribution", "", "packages the distribution has: prefer-distribution, prefer-newest or never-reuse (default prefer-distribution)")
	f.StringVar(&o.tools, "distribution-tools", "", "build tools the distribution has, as --distribution (default never-reuse)")
	f.StringArrayVar(&o.reuse, "reuse", nil, "reuse NAME from the distribution when its version fits, whatever the policy; repeatable")
	f.StringArrayVar(&o.noReuse, "no-reuse", nil, "never reuse NAME from the distribution; repeatable")
	f.BoolVar(&o.noSystem, "no-distribution-packages", false, "target local on Debian and Ubuntu: fetch no libraries and tools that builds need with apt, use what is installed")
	f.StringArrayVar(&o.replace, "replace", nil, "let NAME replace the distribution's package of another version, on the system's own Python; repeatable")
}

// distributionFile is [distribution] of reqpm.toml.
type distributionFile struct {
	Policy   string            `toml:"policy"`
	Tools    string            `toml:"tools"`
	Packages map[string]string `toml:"packages"`
	Replace  []string          `toml:"replace"`
}

// config lays the flags over the configuration file. Answers are kept below state.
func (o *distributionOptions) config(file distributionFile, state string, offline bool) (pipeline.DistributionConfig, error) {
	c := pipeline.DistributionConfig{
		Provider: distro.FirstOf{distro.NewRepositories(distro.Config{Dir: filepath.Join(state, "distro"), Offline: offline}), distro.Table{}},
		Packages: map[string]pipeline.Policy{},
		Replace:  normalNames(append(slices.Clone(file.Replace), o.replace...)),
	}
	var err error
	if c.Policy, err = policy("distribution.policy", file.Policy, "--distribution", o.policy); err != nil {
		return c, err
	}
	if c.Tools, err = policy("distribution.tools", file.Tools, "--distribution-tools", o.tools); err != nil {
		return c, err
	}
	for _, name := range sortedKeys(file.Packages) {
		p, err := policy("distribution.packages."+name, file.Packages[name], "", "")
		if err != nil {
			return c, err
		}
		c.Packages[pep508.NormalizeName(name)] = p
	}
	for _, name := range normalNames(o.reuse) {
		if slices.Contains(normalNames(o.noReuse), name) {
			return c, usagef("--reuse and --no-reuse both name %s", name)
		}
		c.Packages[name] = pipeline.PreferDistribution
	}
	for _, name := range normalNames(o.noReuse) {
		c.Packages[name] = pipeline.NeverReuse
	}
	return c, nil
}

// policy reads a policy from a flag, or else from the configuration file.
func policy(key, fromFile, flag, fromFlag string) (pipeline.Policy, error) {
	where, text := "configuration: "+key, fromFile
	if fromFlag != "" {
		where, text = flag, fromFlag
	}
	if text == "" || slices.Contains(pipeline.Policies, pipeline.Policy(text)) {
		return pipeline.Policy(text), nil
	}
	names := make([]string, len(pipeline.Policies))
	for i, p := range pipeline.Policies {
		names[i] = string(p)
	}
	return "", usagef("%s %q is none of: %s", where, text, strings.Join(names, ", "))
}

// distributionLine says in one line what a lock takes from the distribution, "" when nothing
// was asked.
func distributionLine(u *pipeline.DistributionUse) string {
	if u == nil {
		return ""
	}
	from := "its repositories"
	if u.Source == distro.FromTable {
		from = "ReqPM's own table"
	}
	return fmt.Sprintf("%d reused from the distribution (%s; %d known from %s)", u.Reused, u.Policy, u.Packages, from)
}

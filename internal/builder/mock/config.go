package mock

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/target"
)

// ownRepoID is the repository of the run's own RPMs. Mock's --addrepo gives a repository a cost and
// no priority, so that dnf could still take a newer package of the distribution instead of the one
// planned; that is why the repository stands in the configuration.
const ownRepoID = "reqpm-own"

// ownConfig is the mock configuration file that the user made t of; "" where we write one.
func ownConfig(t target.Target) string {
	if strings.HasPrefix(t.Mock, "/") {
		return t.Mock
	}
	return ""
}

// configuration is what one call of Mock is told, beyond the target.
type configuration struct {
	at      string            // mount point
	ownRepo bool              // $AT/repo has RPMs that win over the target's
	repos   string            // further sections of dnf.conf
	env     map[string]string // of what runs inside
	binds   []bind            // host path → path inside; the host path is below at
	limits  builder.Limits
	cpus    int
}

// text is the configuration file: Python that assigns to config_opts (mock's site-defaults.cfg has
// the names). Where the user gave a mock configuration, it comes first and ours is laid over it.
func (c configuration) text(t target.Target) (string, error) {
	var b strings.Builder
	set := func(key string, values ...string) {
		fmt.Fprintf(&b, "config_opts%s = %s\n", key, strings.Join(values, ""))
	}
	text := func(s string) string { return strconv.QuoteToASCII(s) } // also a literal of Python
	dnf, theirs := "", ""
	if own := ownConfig(t); own != "" {
		// Not by include(): Mock puts a file in another's place with re.sub, which eats its backslashes.
		theirs = readSmall(own)
		if theirs == "" {
			return "", fmt.Errorf("mock configuration %s of target %s: not there, empty, or more than %d bytes", own, t.Name, maxSmall)
		}
		// Build backends are asked in the base root, so the stack's Python is part of it.
		set("['chroot_additional_packages']", "list(config_opts['chroot_additional_packages'] or []) + [", text(t.Python.Executable), "]")
		dnf = c.repos
	} else {
		arch := text(t.Arch)
		set("['target_arch']", arch)
		set("['legal_host_arches']", "(", arch, ",)")
		set("['releasever']", text(t.ReleaseVer))
		set("['chroot_setup_cmd']", text("install "+strings.Join(append([]string{t.Python.Executable}, t.BasePackages...), " ")))
		manager := "dnf"
		if t.ReleaseVer == "7" {
			manager = "yum"
		}
		set("['package_manager']", text(manager))
		set("['use_bootstrap']", pythonBool(needsBootstrap(t, "/etc/os-release")))
		dnf = dnfMain
		for _, r := range t.Repos {
			r.GPGKey = freshKeys(r.GPGKey, distributionKeys)
			dnf += r.String()
		}
		dnf += c.repos
	}
	if c.ownRepo {
		dnf += "[" + ownRepoID + "]\nname=" + ownRepoID + "\nbaseurl=file://" + c.at + "/repo\ngpgcheck=0\nrepo_gpgcheck=0\n" +
			"priority=1\nmodule_hotfixes=1\nskip_if_unavailable=0\nmetadata_expire=0\n"
	}
	if ownConfig(t) != "" {
		fmt.Fprintf(&b, "config_opts['dnf.conf'] += %s\n", text("\n"+dnf))
	} else {
		set("['dnf.conf']", text(dnf))
	}
	set("['root']", text("reqpm"))
	set("['basedir']", text(c.at+"/base/lib"))
	set("['cache_topdir']", text(c.at+"/base/cache"))
	set("['isolation']", text("simple")) // the namespaces are ours
	set("['use_bootstrap_image']", "False")
	set("['update_before_build']", "False")
	set("['rpmbuild_networking']", "False")
	// A root is an overlay over the base; what makes or unpacks roots otherwise would be in the way.
	for _, plugin := range []string{"root_cache", "tmpfs", "overlayfs", "lvm_root", "ccache", "hw_info", "compress_logs", "sign", "pm_request"} {
		set("['plugin_conf']['"+plugin+"_enable']", "False")
	}
	set("['plugin_conf']['package_state_enable']", "True")
	set("['plugin_conf']['package_state_opts']", "{'available_pkgs': False, 'installed_pkgs': True}")
	if len(c.binds) > 0 {
		set("['plugin_conf']['bind_mount_enable']", "True")
	}
	for _, m := range c.binds {
		fmt.Fprintf(&b, "config_opts['plugin_conf']['bind_mount_opts']['dirs'].append((%s, %s))\n", text(m.host), text(m.name))
	}
	for line := range strings.Lines(builder.ReproducibleMacros) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		set("['macros']["+text(name)+"]", text(value))
	}
	if t.Dist != "" && ownConfig(t) == "" {
		set("['macros']['%dist']", text(t.Dist))
	}
	if c.cpus > 0 {
		set("['macros']['%_smp_build_ncpus']", text(strconv.Itoa(c.cpus)))
	}
	if m := c.limits.MemoryBytes; m > 0 {
		set("['rpmbuild_command']", text(fmt.Sprintf("ulimit -c 0; ulimit -v %d; /usr/bin/rpmbuild", m>>10)))
	}
	for _, kv := range builder.ReproducibleEnv() {
		k, v, _ := strings.Cut(kv, "=")
		set("['environment']["+text(k)+"]", text(v))
	}
	for _, k := range slices.Sorted(maps.Keys(c.env)) {
		set("['environment']["+text(k)+"]", text(c.env[k]))
	}
	for _, mark := range []string{"{{", "{%", "{#"} {
		if strings.Contains(b.String(), mark) {
			return "", fmt.Errorf("mock configuration of %s: %q in a value would be a template of Mock's", t.Name, mark)
		}
	}
	return theirs + "\n" + b.String(), nil
}

// dnfMain is the head of dnf.conf, as in Mock's own templates for EL.
const dnfMain = `[main]
keepcache=1
debuglevel=2
reposdir=/dev/null
logfile=/var/log/yum.log
retries=3
timeout=30
obsoletes=1
gpgcheck=0
assumeyes=1
syslog_ident=mock
syslog_device=
metadata_expire=6h
best=1
install_weak_deps=0
protected_packages=
skip_if_unavailable=0
zchunk=0
`

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// needsBootstrap tells whether this machine's dnf and rpm should not fill the root themselves: on
// Fedora and EL, unless it is the target's own release, Mock installs the release's own package
// manager first. Elsewhere (Debian) the host's dnf has to do.
func needsBootstrap(t target.Target, osRelease string) bool {
	text := readSmall(osRelease)
	values := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[k] = strings.Trim(v, `"'`)
	}
	family := strings.Fields(values["ID"] + " " + values["ID_LIKE"])
	if !slices.Contains(family, "fedora") && !slices.Contains(family, "rhel") {
		return false
	}
	major, _, _ := strings.Cut(values["VERSION_ID"], ".")
	return values["ID"] == "fedora" || major != t.ReleaseVer
}

// remote tells whether anything that dnf reads for t is not a file of this machine.
func remote(t target.Target) bool {
	if ownConfig(t) != "" {
		return true // who knows what it says
	}
	return slices.ContainsFunc(t.Repos, func(r target.Repo) bool {
		return anyRemote(append(slices.Clone(r.BaseURL), r.Mirrorlist, r.Metalink)) || anyRemote(freshKeys(r.GPGKey, distributionKeys))
	})
}

func anyRemote(urls []string) bool {
	return slices.ContainsFunc(urls, func(u string) bool {
		return strings.Contains(u, "://") && !strings.HasPrefix(u, "file://")
	})
}

// localPaths are the directories of this machine that t is read from.
func localPaths(t target.Target) []string {
	var paths []string
	for _, r := range t.Repos {
		for _, u := range append(slices.Clone(r.BaseURL), r.GPGKey...) {
			if p, ok := strings.CutPrefix(u, "file://"); ok {
				paths = append(paths, filepath.Clean(p))
			}
		}
	}
	if own := ownConfig(t); own != "" {
		paths = append(paths, own)
	}
	return paths
}

package reqfile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"reqpm/internal/pep508"
)

// readEnvs reads the environments of tools that were asked for: "tox:NAME" and
// "hatch:NAME". Their configuration is looked for beside the files of the request, then
// at the top.
func (r *reader) readEnvs(ctx context.Context) {
	dirs := []string{}
	for _, name := range r.req.Files {
		if loc, err := r.root.locate(name); err == nil && loc.url == nil {
			dirs = append(dirs, path.Dir(loc.path))
		}
	}
	dirs = append(dirs, ".")
	for _, env := range r.req.Envs {
		tool, name, found := strings.Cut(env, ":")
		at := Position{File: "--tool-env"}
		switch {
		case !found || name == "":
			r.fail(at, env, errors.New("an environment is written TOOL:NAME, like tox:py311 or hatch:default"))
		case tool == "tox":
			r.readFirst(ctx, dirs, env, []string{"tox.ini", "setup.cfg", "tox.toml", "pyproject.toml"}, func(file string) bool { return r.toxEnv(ctx, file, name) })
		case tool == "hatch":
			r.readFirst(ctx, dirs, env, []string{"hatch.toml", "pyproject.toml"}, func(file string) bool { return r.hatchEnv(ctx, file, name) })
		default:
			r.fail(at, env, fmt.Errorf("unknown tool %s; known are tox and hatch", quote(tool)))
		}
	}
}

// readFirst tries the files of the folders until one has a configuration of the
// tool.
func (r *reader) readFirst(ctx context.Context, dirs []string, env string, files []string, try func(file string) bool) {
	for _, dir := range dirs {
		for _, name := range files {
			file := path.Join(dir, name)
			if r.stopped(ctx) || r.root.isFile(file) && try(file) {
				return
			}
		}
	}
	r.fail(Position{File: files[len(files)-1]}, env, errors.New("there is no configuration of this tool in the project"))
}

// loadEnvFile reads a file of a tool's configuration, noting that it was read.
func (r *reader) loadEnvFile(ctx context.Context, file string) ([]byte, bool) {
	data, err := r.load(ctx, location{path: file})
	if err != nil {
		r.fail(Position{File: file}, "", err)
		return nil, false
	}
	return data, true
}

func (r *reader) noteFile(file string) {
	if !r.seen[file] {
		r.seen[file] = true
		r.set.Files = append(r.set.Files, file)
	}
}

// unknownEnv reports an environment that the configuration does not have.
func (r *reader) unknownEnv(at Position, name string, known []string) {
	list := "there are none"
	if len(known) > 0 {
		list = "known are " + strings.Join(known[:min(len(known), 30)], ", ")
	}
	r.fail(at, name, fmt.Errorf("unknown environment; %s", list))
}

// wantProject adds the extras and groups that an environment asks of the project
// beside its configuration, which is read then even when nobody named it.
func (r *reader) wantProject(dir string, extras, groups []string) {
	for _, e := range extras {
		if !r.wants(r.extras.names, e) {
			r.extras.names = append(r.extras.names, e)
			r.req.Extras = append(r.req.Extras, e)
		}
	}
	for _, g := range groups {
		if !r.wants(r.groups.names, g) {
			r.groups.names = append(r.groups.names, g)
			r.req.Groups = append(r.req.Groups, g)
		}
	}
	project := path.Join(dir, "pyproject.toml")
	if len(extras)+len(groups) > 0 && r.isProjectFile(project) {
		r.req.Files = append(r.req.Files, project)
	}
}

// hatchEnv reads an environment of Hatch; false when the file has none of its
// configuration.
func (r *reader) hatchEnv(ctx context.Context, file, name string) bool {
	data, ok := r.loadEnvFile(ctx, file)
	if !ok {
		return true
	}
	loc := location{path: file}
	t, ok := r.openTOML(loc, data)
	if !ok {
		return true
	}
	envs := t.sub("envs")
	if path.Base(file) == "pyproject.toml" {
		envs = table{r, t.file, t.n.Get("tool", "hatch", "envs")}
	}
	if envs.n == nil || !envs.n.IsTable() {
		return false
	}
	r.noteFile(file)
	base, variant, _ := strings.Cut(name, ".") // "test.py3.11" is one of the matrix of test
	env := envs.sub(base)
	if env.n == nil {
		r.unknownEnv(envs.at(""), name, envs.n.Names())
		return true
	}
	if variant == "" && env.n.Get("matrix") != nil || env.n.Get("overrides") != nil {
		r.warn(env.at(""), "the environment %s has a matrix or overrides, which are not applied", quote(base))
	}
	h := &hatchFile{setupFile: newSetupFile(r, loc), envs: envs}
	for _, key := range []string{"dependencies", "extra-dependencies"} {
		for _, n := range h.inherited(env, base, key, 0) {
			if !r.stopped(ctx) {
				h.setupRequirement(Position{file, n.Line}, n.Text, nil)
			}
		}
	}
	if strings.HasPrefix(base, "hatch-") {
		r.warn(env.at(""), "Hatch adds packages of its own to the environment %s; they are not read", quote(base))
	}
	r.wantProject(path.Dir(file), texts(h.inherited(env, base, "features", 0)), texts(h.inherited(env, base, "dependency-groups", 0)))
	return true
}

type hatchFile struct {
	*setupFile
	envs table
}

// inherited is a list of an environment, else of its template, which is default
// unless it says so.
func (h *hatchFile) inherited(env table, name, key string, depth int) []*node {
	if env.n.Get(key) != nil {
		return env.strings(key)
	}
	template := env.str("template")
	if template == "" {
		template = "default"
	}
	if template == name || depth > maxDepth || env.is("detached") || h.envs.n.Get(template) == nil {
		return nil
	}
	return h.inherited(h.envs.sub(template), template, key, depth+1)
}

// toxEnv reads an environment of tox; false when the file has none of its
// configuration.
func (r *reader) toxEnv(ctx context.Context, file, name string) bool {
	data, ok := r.loadEnvFile(ctx, file)
	if !ok {
		return true
	}
	loc := location{path: file}
	if path.Ext(file) == ".toml" {
		t, ok := r.openTOML(loc, data)
		if !ok {
			return true
		}
		if path.Base(file) == "pyproject.toml" {
			t = table{r, t.file, t.n.Get("tool", "tox")}
		}
		if t.n == nil || !t.n.IsTable() {
			return false
		}
		r.noteFile(file)
		if old := t.n.Get("legacy_tox_ini"); old.IsString() {
			x := newToxFile(r, loc, old.Text, "")
			x.offset = old.Line - 1
			return x.env(ctx, name)
		}
		return r.toxTOML(ctx, loc, t, name)
	}
	text, _, err := decode(data)
	if err != nil {
		r.fail(Position{File: file}, "", err)
		return true
	}
	prefix := ""
	if path.Base(file) == "setup.cfg" {
		prefix = "tox:"
	}
	x := newToxFile(r, loc, text, prefix)
	if !x.configured() {
		return false
	}
	r.noteFile(file)
	return x.env(ctx, name)
}

// toxTOML reads tox's own TOML form: env_run_base and env.NAME.
func (r *reader) toxTOML(ctx context.Context, loc location, t table, name string) bool {
	base, envs := t.sub("env_run_base"), t.sub("env")
	env := envs.sub(name)
	if env.n == nil {
		known := append(envs.n.Names(), texts(t.strings("env_list"))...)
		if !r.wants(known, name) && !isToxPython(name) {
			r.unknownEnv(t.at("env"), name, known)
			return true
		}
		env = base
	}
	pick := func(key string) []*node {
		from := env
		if env.n.Get(key) == nil {
			from = base
		}
		if from.n.Get(key).IsString() {
			return []*node{from.n.Get(key)}
		}
		return from.strings(key)
	}
	for _, n := range pick("deps") {
		r.parseLine(ctx, loc, Position{loc.path, n.Line}, strings.ReplaceAll(n.Text, "{tox_root}/", ""), false)
	}
	for _, n := range pick("constraints") {
		r.parseLine(ctx, loc, Position{loc.path, n.Line}, "-c "+strings.ReplaceAll(n.Text, "{tox_root}/", ""), false)
	}
	r.wantProject(path.Dir(loc.path), texts(pick("extras")), texts(pick("dependency_groups")))
	return true
}

// isToxPython is for the names that tox understands without a section: py, py311,
// py3.11, pypy3.
func isToxPython(name string) bool {
	for factor := range strings.SplitSeq(name, "-") {
		digits := strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(factor, "pypy"), "py"), "0123456789.")
		if strings.HasPrefix(factor, "py") && digits == "" {
			return true
		}
	}
	return false
}

// splitNames reads a list of names: comma or line separated.
func splitNames(text string) []string {
	var list []string
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || isSpace(r) }) {
		list = append(list, pep508.NormalizeName(f))
	}
	return list
}

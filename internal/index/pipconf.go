package index

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// setting is a value with where it was found, for people.
type setting struct{ value, source string }

// maxPipConf bounds a configuration file of pip.
const maxPipConf = 1 << 20

// pipFiles lists pip's configuration files on Linux, weakest first ("pip config debug"
// shows the same list): the machine's, the user's, the virtual environment's, PIP_CONFIG_FILE.
func (o DiscoverOptions) pipFiles() []string {
	named := o.Getenv("PIP_CONFIG_FILE")
	if named == os.DevNull {
		return nil // pip's way to say: no files at all
	}
	var files []string
	dirs := o.Getenv("XDG_CONFIG_DIRS")
	if dirs == "" {
		dirs = "/etc/xdg"
	}
	for _, dir := range filepath.SplitList(dirs) {
		if dir != "" {
			files = append(files, filepath.Join(o.Root, dir, "pip", "pip.conf"))
		}
	}
	files = append(files, filepath.Join(o.Root, "/etc/pip.conf"))
	home := o.Getenv("HOME")
	if _, err := os.Stat(named); named == "" || err != nil {
		if home != "" {
			files = append(files, filepath.Join(home, ".pip", "pip.conf"))
		}
		config := o.Getenv("XDG_CONFIG_HOME")
		if config == "" && home != "" {
			config = filepath.Join(home, ".config")
		}
		if config != "" {
			files = append(files, filepath.Join(config, "pip", "pip.conf"))
		}
	}
	if venv := o.Getenv("VIRTUAL_ENV"); venv != "" {
		files = append(files, filepath.Join(venv, "pip.conf"))
	}
	if named != "" {
		files = append(files, named)
	}
	return files
}

// pipSettings reads what "pip install" would: later files over earlier ones, [install]
// over [global], the environment over all. Keys are in pip's spelling ("index-url");
// empty values do not count.
func (o DiscoverOptions) pipSettings() (map[string]setting, error) {
	sections := map[string]map[string]setting{}
	for _, file := range o.pipFiles() {
		if err := readPipConf(file, sections); err != nil {
			return nil, err
		}
	}
	merged := map[string]setting{}
	for _, section := range []string{"global", "install"} {
		for key, s := range sections[section] {
			if s.value != "" {
				merged[key] = s
			}
		}
	}
	for _, key := range pipKeys {
		name := "PIP_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
		if v := strings.TrimSpace(o.Getenv(name)); v != "" {
			merged[key] = setting{v, name}
		}
	}
	return merged, nil
}

// pipKeys are the settings taken from pip; "default-timeout" is an old name of "timeout".
var pipKeys = []string{
	"index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "proxy",
	"timeout", "default-timeout", "retries",
}

// readPipConf adds a file's sections. A file that is missing or may not be read counts as empty,
// as it does for pip.
func readPipConf(path string, sections map[string]map[string]setting) error {
	text, err := readLocal(path, maxPipConf)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pip's configuration: %w", err)
	}
	return parseINI(path, string(text), sections)
}

// parseINI reads the format of Python's configparser with pip's settings: full-line comments
// by "#" and ";", "=" or ":" behind the key, more deeply indented lines go on with the value,
// keys in any letter case and with "_" for "-".
func parseINI(path, text string, sections map[string]map[string]setting) error {
	var section, key string
	keyIndent := 0
	text = strings.TrimPrefix(text, "\ufeff")
	n := 0
	for line := range strings.Lines(text) {
		n++
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		if key != "" && indent > keyIndent {
			s := sections[section][key]
			s.value = strings.TrimSpace(s.value + "\n" + trimmed)
			sections[section][key] = s
			continue
		}
		if trimmed[0] == '[' {
			end := strings.IndexByte(trimmed, ']')
			if end < 0 {
				return fmt.Errorf("pip's configuration %s:%d: a section without \"]\"", path, n)
			}
			section, key = trimmed[1:end], ""
			if sections[section] == nil {
				sections[section] = map[string]setting{}
			}
			continue
		}
		i := strings.IndexAny(trimmed, "=:")
		if i <= 0 || section == "" {
			return fmt.Errorf("pip's configuration %s:%d: neither a section nor \"key = value\"", path, n)
		}
		key = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(trimmed[:i])), "_", "-")
		key = strings.TrimPrefix(key, "--")
		keyIndent = indent
		sections[section][key] = setting{strings.TrimSpace(trimmed[i+1:]), fmt.Sprintf("%s [%s]", path, section)}
	}
	return nil
}

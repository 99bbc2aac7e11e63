package apt

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// statusFile is dpkg's list of what is installed.
const statusFile = "/var/lib/dpkg/status"

// Installed are the packages of this machine with their versions; what they provide is among
// them, with the version "" unless it is said.
func Installed() (map[string]string, error) {
	f, err := os.Open(statusFile)
	if err != nil {
		return nil, fmt.Errorf("read what is installed: %w", err)
	}
	defer f.Close()
	list := map[string]string{}
	name, version, provides, installed := "", "", "", false
	flush := func() {
		if installed && name != "" {
			list[name] = version
			for p := range strings.SplitSeq(provides, ",") {
				p, _, _ = strings.Cut(strings.TrimSpace(p), " ")
				if _, real := list[p]; p != "" && !real {
					list[p] = ""
				}
			}
		}
		name, version, provides, installed = "", "", "", false
	}
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 64<<10), 4<<20)
	for sc.Scan() {
		line := sc.Text()
		if line == "" {
			flush()
			continue
		}
		if v, ok := strings.CutPrefix(line, "Package: "); ok {
			name = v
		} else if v, ok := strings.CutPrefix(line, "Version: "); ok {
			version = v
		} else if v, ok := strings.CutPrefix(line, "Provides: "); ok {
			provides = v
		} else if v, ok := strings.CutPrefix(line, "Status: "); ok {
			installed = v == "install ok installed" || v == "hold ok installed"
		}
	}
	flush()
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read what is installed: %w", err)
	}
	return list, nil
}

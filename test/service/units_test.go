package service

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/store/storetest"
)

// systemd takes the units without a word, and what they start says that it is ready, as Type=notify needs it.
func TestUnits(t *testing.T) {
	needQuick(t)
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs systemd-analyze")
	}
	units, err := filepath.Glob(filepath.Join("..", "..", "packaging", "systemd", "*.service"))
	must(t, err)
	if len(units) != 2 {
		t.Fatalf("units: %q", units)
	}
	dir := t.TempDir()
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		must(t, err)
		// There is no /usr/bin/reqpm where tests run.
		copied := filepath.Join(dir, strings.Replace(filepath.Base(unit), "@.", "@builder-1.", 1))
		must(t, os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), "/usr/bin/reqpm", "/bin/true")), 0o644))
		cmd := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copied)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", filepath.Base(unit), err, out)
		}
		_, line, ok := strings.Cut(string(text), "\nExecStart=/usr/bin/reqpm ")
		line, _, _ = strings.Cut(line, "\n")
		if !ok {
			t.Fatalf("%s has no ExecStart", unit)
		}
		t.Run(filepath.Base(unit), func(t *testing.T) { startsReady(t, line) })
	}
}

// startsReady runs a unit's command as systemd does, and waits for READY=1 (sd_notify(3)).
func startsReady(t *testing.T, line string) {
	database := filepath.Join(t.TempDir(), "reqpm.db")
	if strings.HasPrefix(line, "worker") {
		database = storetest.Postgres(t)
	}
	b := newQuickBed(t, database)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(b.dir, "notify"), Net: "unixgram"})
	must(t, err)
	defer socket.Close()
	b.env = []string{"NOTIFY_SOCKET=" + filepath.Join(b.dir, "notify")}
	var args []string
	for _, word := range strings.Fields(line) {
		switch {
		case word == "%i":
			args = append(args, "builder-1")
		case !strings.HasPrefix(word, "$"): // flags of one's own: none
			args = append(args, word)
		}
	}
	if args[0] == "serve" {
		args = append(args, "--listen", "127.0.0.1:0") // the port may be another's here
	}
	p := b.start(nil, args...)
	must(t, socket.SetReadDeadline(time.Now().Add(time.Minute)))
	said := make([]byte, 100)
	n, err := socket.Read(said)
	if err != nil || !strings.Contains(string(said[:n]), "READY=1") {
		t.Errorf("%s says %q: %v", line, said[:n], err)
	}
	p.stop(syscall.SIGTERM)
}

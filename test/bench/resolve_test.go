package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"reqpm/internal/replay"
)

// BenchmarkResolve resolves one requirement set with reqpm, uv and pip in turn, all against the same
// replayed index, each cold (nothing cached) and, but for pip, warm:
//
//	reqpm bench resolve SET --python 3.12 --record RECORDING
//	REQPM_SET=SET REQPM_RECORDING=RECORDING REQPM_PYTHON=3.12 REQPM_UV=/path/to/uv [REQPM_PIP=/path/to/pip] \
//	    go test ./test/bench -run XXX -bench Resolve -benchtime 3x -timeout 1h -v
//
// A recording has what reqpm read. Another resolver may want to see more, and then fails on it: pinned sets
// hold them together. SET is a folder with a requirements.txt, and constraints.txt where there are any. For REQPM_RECORDING=index
// the real index is asked (the one that REQPM_INDEX names, else everybody's own default).
func BenchmarkResolve(b *testing.B) {
	set, recording, python, uv := os.Getenv("REQPM_SET"), os.Getenv("REQPM_RECORDING"), os.Getenv("REQPM_PYTHON"), os.Getenv("REQPM_UV")
	if set == "" || recording == "" || python == "" || uv == "" {
		b.Skip("needs REQPM_SET, REQPM_RECORDING, REQPM_PYTHON and REQPM_UV")
	}
	c := &contest{b: b, set: set, python: python, index: os.Getenv("REQPM_INDEX"), program: filepath.Join(b.TempDir(), "reqpm")}
	if out, err := exec.Command("go", "build", "-o", c.program, "../../cmd/reqpm").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	if recording != "index" {
		server, err := replay.Serve(recording, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer server.Close()
		c.server, c.index = server, server.URL
	}
	var cold, warm, coldUV, warmUV []float64
	for b.Loop() { // in turn, so that other work on the machine hits all alike
		cache := b.TempDir()
		coldUV = append(coldUV, c.run("uv, cold", uv, c.uv(cache)...))
		warmUV = append(warmUV, c.run("uv, warm", uv, append(c.uv(cache), "--offline")...))
		state := b.TempDir()
		cold = append(cold, c.run("reqpm, cold", c.program, c.reqpm(state)...))
		warm = append(warm, c.run("reqpm, warm", c.program, append(c.reqpm(state), "--offline")...))
	}
	if pip := os.Getenv("REQPM_PIP"); pip != "" {
		c.run("pip, cold", pip, c.pip()...)
	}
	b.ReportMetric(median(cold)/median(coldUV), "cold÷uv")
	b.ReportMetric(median(warm)/median(warmUV), "warm÷uv")
	b.ReportMetric(median(warm), "warm-s")
	b.Logf("medians of %d turns: cold %.2f s, uv %.2f s; warm %.2f s, uv %.2f s", len(cold), median(cold), median(coldUV), median(warm), median(warmUV))
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

type contest struct {
	b                           *testing.B
	set, python, index, program string
	server                      *replay.Server
}

func (c *contest) file(name string) string { return filepath.Join(c.set, name) }

func (c *contest) has(name string) bool {
	_, err := os.Stat(c.file(name))
	return err == nil
}

func (c *contest) reqpm(state string) []string {
	args := []string{"resolve", c.set, "-r", "requirements.txt", "--python", c.python, "--state", state, "--no-project", "--json"}
	if c.has("constraints.txt") {
		args = append(args, "-c", "constraints.txt")
	}
	return c.indexed(args)
}

func (c *contest) uv(cache string) []string {
	args := []string{"pip", "compile", "-q", c.file("requirements.txt"), "--python-version", c.python, "--cache-dir", cache, "-o", os.DevNull}
	if c.has("constraints.txt") {
		args = append(args, "-c", c.file("constraints.txt"))
	}
	return c.indexed(args)
}

func (c *contest) pip() []string {
	args := []string{"install", "-q", "--dry-run", "--ignore-installed", "--no-cache-dir", "--no-input", "--target", c.b.TempDir(),
		"--python-version", c.python, "--only-binary", ":all:", "-r", c.file("requirements.txt")}
	if c.has("constraints.txt") {
		args = append(args, "-c", c.file("constraints.txt"))
	}
	return c.indexed(args)
}

func (c *contest) indexed(args []string) []string {
	if c.index == "" {
		return args
	}
	return append(args, "--index-url", c.index)
}

// run runs one program and returns the seconds that it took.
func (c *contest) run(name, program string, args ...string) float64 {
	c.b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "PIP_FIND_LINKS=", "UV_FIND_LINKS=", "UV_PYTHON_DOWNLOADS=never")
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	begin := time.Now()
	err := cmd.Run()
	took := time.Since(begin)
	if err != nil {
		text := strings.TrimSpace(trouble.String())
		c.b.Errorf("%s: %v\n%.1000s", name, err, text) // explanations can have a thousand lines
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	line := ""
	if c.server != nil {
		asked := c.server.Requests()
		line = fmt.Sprintf(", %d pages, %d files", asked.Pages, asked.Files)
	}
	c.b.Logf("%-12s %7.2f s, %6.2f s of processor, %4d MB%s", name, took.Seconds(), cpu.Seconds(), usage.Maxrss/1024, line)
	return took.Seconds()
}

package reliability

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests ask which processes are left, and know theirs by descent. So that they can run side by side, each
// runs in a process of its own, whose descendants are of that test alone.

// beAlone is set in such a process: the folder of the undisturbed build, and how many seconds that took.
const beAlone = "REQPM_RELIABILITY_ALONE"

// sideBySide lets twice as many tests run at once as there are processors: they mostly wait for
// programs that wait for the disk. -parallel says otherwise.
func sideBySide() error {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU()))
}

// beside lets a test that has others in it run beside the rest.
func beside(t *testing.T) {
	t.Helper()
	if os.Getenv(beAlone) == "" {
		t.Parallel()
	}
}

// alone is true where the test is to be done: in a process that has nothing else to do. Elsewhere it runs
// that process, beside those of other tests, and fails as it does.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(beAlone) != "" {
		return true
	}
	t.Parallel()
	bed, run := reference.get(t)
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	args := []string{"-test.run=" + strings.Join(pattern, "/"), "-test.v", "-test.count=1"}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(deadline).String())
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%.1f %s", beAlone, run.seconds, bed.dir))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out.String())
	case strings.Contains(out.String(), "--- SKIP: "):
		t.Skip(out.String())
	case !strings.Contains(out.String(), "--- PASS: "+t.Name()):
		t.Errorf("the test did not run:\n%s", out.String())
	default:
		t.Log(out.String())
	}
	return false
}

// fromParent is the undisturbed build that another process made.
func fromParent() (*bed, result, error) {
	text, dir, _ := strings.Cut(os.Getenv(beAlone), " ")
	seconds, err := strconv.ParseFloat(text, 64)
	return &bed{dir: dir}, result{seconds: seconds}, err
}

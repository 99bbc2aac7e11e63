// Package s3test starts a real S3 server for tests: versitygw, over a directory of the test. ./reqpm.sh test
// installs it; without it the tests are skipped. (It is under the Apache licence, and people keep their data with it; MinIO is
// under the AGPL, and moto is an imitation for tests.)
package s3test

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Bucket is the bucket that the server has.
const Bucket = "reqpm-test"

// Server is a running server.
type Server struct {
	// Env is what programs need to reach it.
	Env []string
	dir string
	url string
	cmd *exec.Cmd
}

// Start starts a server until the test's end, and lets this process use it: no test beside it can be parallel.
func Start(t testing.TB) *Server {
	t.Helper()
	program := cmp.Or(os.Getenv("REQPM_VERSITYGW"), "versitygw")
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs versitygw: REQPM_VERSITYGW names it, and ./reqpm.sh test installs it (%v)", err)
	}
	dir, err := os.MkdirTemp("", "reqpm-s3-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{dir: dir}
	for _, d := range []string{filepath.Join("data", Bucket), "attributes"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": ""} {
		t.Setenv(name, value)
		s.Env = append(s.Env, name+"="+value)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	s.url = "http://" + address
	s.cmd = exec.Command(path, "--access", "test-key", "--secret", "test-secret", "--port", address, "--quiet",
		"posix", "--sidecar", filepath.Join(dir, "attributes"), filepath.Join(dir, "data"))
	var said bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = &said, &said, dir
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("versitygw said: %.3000s", said.String())
		}
	})
	for begin := time.Now(); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return s
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("versitygw does not listen: %v\n%s", err, said.String())
		}
		select {
		case <-t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Address is a place in the bucket.
func (s *Server) Address(prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=%s", Bucket, prefix, s.url)
}

// Stop ends the server.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

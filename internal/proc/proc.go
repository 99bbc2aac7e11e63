// Package proc starts programs so that they can be stopped whole: in namespaces of their own,
// which the kernel empties when their first process ends. What any program says is kept within bounds by Head.
package proc

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts cmd as the first process of PID, mount, IPC and host name namespaces of its own,
// and without network unless it is asked for. Killing that process, or dying ourselves by
// whatever signal, ends every process and every mount below it at once. The channel gets what
// cmd.Wait returns, once. It needs root; without, the error is EPERM.
func Start(cmd *exec.Cmd, network bool) (<-chan error, error) {
	flags := uintptr(syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS)
	if !network {
		flags |= syscall.CLONE_NEWNET
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL, Setsid: true}
	waited := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The death signal comes when the starting *thread* ends, so it must not end early.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			waited <- cmd.Wait()
		}
	}()
	return waited, <-started
}

// Env is the environment of children: it keeps what dnf may need to reach its repositories and nothing else.
func Env() []string {
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent", "TZ=UTC"}
	for _, k := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v := os.Getenv(k); v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

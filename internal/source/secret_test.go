package source

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"reqpm/internal/secret"
)

// held is a secret as a project has it.
func held(t *testing.T, kind secret.Kind, where, username, value, knownHosts string) secret.Secret {
	t.Helper()
	s, err := secret.New("it", kind, where, username, value, knownHosts)
	if err != nil {
		t.Fatal(err)
	}
	s.Set(rand.Text(), "test", time.Now())
	return s
}

// nowhereBelow fails where a file has the text.
func nowhereBelow(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A secret opens the server that it is for and is in no file, argument or environment; what it opened is not for who lacks it.
func TestASecretOpensItsServer(t *testing.T) {
	r, dir := serveRepo(t)
	commit := r.commit("a", "one")
	const token = "tok-en'$x-93hd7"
	back, authorized := gitServer(t, dir, token)
	state := filepath.Join(t.TempDir(), "state")
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		nowhereBelow(t, state, token)
		files, _ := filepath.Glob("/proc/[0-9]*/environ")
		more, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range append(files, more...) {
			if data, _ := os.ReadFile(f); bytes.Contains(data, []byte(token)) && !strings.HasPrefix(f, "/proc/"+strconv.Itoa(os.Getpid())+"/") {
				t.Errorf("%s: %q", f, data)
			}
		}
		back.Config.Handler.ServeHTTP(w, q)
	}))
	t.Cleanup(front.Close)
	req := Request{URL: front.URL + "/" + filepath.Base(r.dir), Dir: state, Allow: Policy{Loopback: true, HTTP: true}}
	mine := req
	mine.Secrets = []secret.Secret{held(t, secret.GitToken, front.URL, "", token, "")}
	if got := mustFetch(t, mine); got.Commit != commit || authorized.Load() == 0 {
		t.Fatalf("got %s", got.Commit)
	}
	nowhereBelow(t, state, token)
	if refs, err := Refs(t.Context(), mine); err != nil || len(refs) == 0 {
		t.Errorf("refs %v %v", refs, err)
	}
	// Again takes what is there without asking, and must not take another's.
	req.Ref, req.Again = commit, true
	if _, err := Fetch(t.Context(), req); !errors.Is(err, ErrAuth) {
		t.Errorf("a private checkout without the secret: %v", err)
	}
	other := req
	other.Secrets = []secret.Secret{held(t, secret.GitToken, "http://git.example.org", "", token, "")}
	if _, err := Fetch(t.Context(), other); !errors.Is(err, ErrAuth) {
		t.Errorf("with the secret of another server: %v", err)
	}
	other.Secrets = []secret.Secret{held(t, secret.GitToken, front.URL, "", "wrong-token", "")}
	if _, err := Fetch(t.Context(), other); !errors.Is(err, ErrAuth) || strings.Contains(err.Error(), "wrong-token") {
		t.Errorf("with a wrong secret: %v", err)
	}
}

// sshServer answers as a forge does over ssh: one key may come in, and only git-upload-pack is run.
func sshServer(t *testing.T, dir string, allowed ssh.PublicKey) (address string, host ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	conf := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), allowed.Marshal()) {
			return nil, errors.New("not this key")
		}
		return nil, nil
	}}
	conf.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(c, conf, dir)
		}
	}()
	return l.Addr().String(), signer.PublicKey()
}

func serveSSH(c net.Conn, conf *ssh.ServerConfig, dir string) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for wanted := range channels {
		channel, requests, err := wanted.Accept()
		if err != nil {
			return
		}
		for q := range requests {
			name, ok := strings.CutPrefix(string(q.Payload[min(4, len(q.Payload)):]), "git-upload-pack '/")
			_ = q.Reply(q.Type == "env" || ok, nil)
			if q.Type != "exec" || !ok {
				continue
			}
			cmd := exec.Command("git", "upload-pack", filepath.Join(dir, filepath.Base(strings.TrimSuffix(name, "'"))))
			in, _ := cmd.StdinPipe()
			cmd.Stdout = channel
			if cmd.Start() != nil {
				break
			}
			go func() { _, _ = io.Copy(in, channel); in.Close() }()
			_ = cmd.Wait()
			_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			break
		}
		channel.Close()
	}
}

// A key of a project opens its server over ssh, and only the server whose own key the project knows.
func TestAKeyOpensAKnownServer(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh is not installed")
	}
	r, dir := serveRepo(t)
	commit := r.commit("a", "one")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "deploy")
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(block))
	allowed, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	address, host := sshServer(t, dir, allowed)
	url := "ssh://git@" + address + "/" + filepath.Base(r.dir)
	req := Request{URL: url, Dir: filepath.Join(t.TempDir(), "state"), Allow: Policy{Loopback: true}}
	for _, line := range []string{knownhosts.Line([]string{address}, host), knownhosts.HashHostname(knownhosts.Normalize(address)) + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host)))} {
		mine := req
		mine.Secrets = []secret.Secret{held(t, secret.SSHKey, url, "", text, line)}
		if got := mustFetch(t, mine); got.Commit != commit {
			t.Errorf("got %s", got.Commit)
		}
	}
	nowhereBelow(t, req.Dir, strings.Split(text, "\n")[2])
	stranger, _, _ := ed25519.GenerateKey(rand.Reader)
	another, err := ssh.NewPublicKey(stranger)
	if err != nil {
		t.Fatal(err)
	}
	wrong := req
	wrong.Secrets = []secret.Secret{held(t, secret.SSHKey, url, "", text, knownhosts.Line([]string{address}, another))}
	if _, err := Fetch(t.Context(), wrong); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "Host key verification failed") {
		t.Errorf("a server with another key: %v", err)
	}
}

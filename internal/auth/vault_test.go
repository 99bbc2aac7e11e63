package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"reqpm/internal/store"
	"reqpm/internal/store/storetest"
)

func openVault(t *testing.T, dir string) *Vault {
	t.Helper()
	v, err := OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVault(t *testing.T) {
	dir := t.TempDir()
	vaults := make([]*Vault, 8)
	var group sync.WaitGroup
	for i := range vaults { // several processes start at once
		group.Go(func() { vaults[i], _ = OpenVault(dir) })
	}
	group.Wait()
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOf(rapid.Byte()).Draw(t, "secret")
		project, name := rapid.Int64().Draw(t, "project"), rapid.String().Draw(t, "name")
		sealed := vaults[0].Seal(project, name, secret)
		if plain, err := vaults[7].Open(project, name, sealed); err != nil || !bytes.Equal(plain, secret) {
			t.Fatalf("%q, %v", plain, err)
		}
		if bytes.Equal(sealed, vaults[0].Seal(project, name, secret)) {
			t.Error("twice the same")
		}
		_, err1 := vaults[0].Open(project+1, name, sealed)
		_, err2 := vaults[0].Open(project, name+"x", sealed)
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "damaged")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		_, err3 := vaults[0].Open(project, name, sealed)
		_, err4 := vaults[0].Open(project, name, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")])
		for i, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, ErrSealed) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

func TestKeyFileOthersCanRead(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644, 0o666} {
		dir := t.TempDir()
		openVault(t, dir)
		path := filepath.Join(dir, KeyFile)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenVault(dir); !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%o: %v", mode, err)
		}
	}
	for name, spoil := range map[string]func(path string) error{
		"a link": func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
		"a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"empty":       func(path string) error { return os.Truncate(path, 0) },
		"cut":         func(path string) error { return os.Truncate(path, 20) },
	} {
		dir := t.TempDir()
		openVault(t, dir)
		if err := spoil(filepath.Join(dir, KeyFile)); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenVault(dir); !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		dir := t.TempDir()
		v := openVault(t, dir)
		one, two := f.project("one"), f.project("two")
		eve := f.user("eve", Builder)
		_, who := f.login("eve", password)
		const secret = "ghp_averysecretgittoken"
		f.is(f.SetSecret(ctx, who, v, one, "git", []byte(secret)), ErrForbidden)
		f.must(f.SetMember(ctx, f.ada, eve.ID, one, Maintainer))
		_, who = f.login("eve", password)
		f.must(f.SetSecret(ctx, who, v, one, "git", []byte(secret)))
		f.is(f.SetSecret(ctx, who, v, two, "git", []byte(secret)), ErrForbidden)
		f.is(f.SetSecret(ctx, who, v, one, "git", []byte("short")), ErrInvalid)
		f.is(f.SetSecret(ctx, who, v, one, "a\nb", []byte(secret)), ErrInvalid)
		f.is(f.SetSecret(ctx, f.ada, v, 99, "git", []byte(secret)), store.ErrReference)

		sealed, err := f.db.Secret(ctx, one, "git")
		f.must(err)
		if bytes.Contains(sealed, []byte(secret)) {
			t.Error("the database has the plain text")
		}
		f.must(f.db.PutSecret(ctx, two, "git", sealed)) // as somebody who can write rows would
		if _, err := v.Secrets(ctx, f.db.Queries, two); !errors.Is(err, ErrSealed) {
			t.Errorf("another project's secret: %v", err)
		}
		f.must(f.DeleteSecret(ctx, f.ada, two, "git"))

		hook, sealedHook := v.NewPushSecret(one)
		f.must(f.db.AddPushHook(ctx, store.PushHook{Project: one, Sealed: sealedHook}))

		// A new key; the old one opens what it sealed until that is sealed anew.
		f.must(RotateKey(dir))
		rotated := openVault(t, dir)
		got, err := rotated.Secrets(ctx, f.db.Queries, one)
		f.must(err)
		if string(got["git"]) != secret || len(got) != 1 {
			t.Errorf("%q", got)
		}
		for _, want := range []int{2, 0} {
			if n, err := rotated.Reseal(ctx, f.db); n != want || err != nil {
				t.Errorf("%d sealed anew, %v", n, err)
			}
		}
		kept, err := f.db.PushHook(ctx, one)
		f.must(err)
		if again, err := rotated.Open(one, PushSecretName, kept.Sealed); err != nil || string(again) != hook || bytes.Equal(kept.Sealed, sealedHook) {
			t.Errorf("the hook's secret: %q %v", again, err)
		}
		_, err = v.Secrets(ctx, f.db.Queries, one) // which has the old key only
		if !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), KeyFile) {
			t.Errorf("%v", err)
		}
		got, err = rotated.Secrets(ctx, f.db.Queries, one)
		f.must(err)
		if string(got["git"]) != secret {
			t.Errorf("%q", got)
		}
	})
}

// Whatever people do, the audit log says it and has no secret; what did not happen is not in it.
func TestAudit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		one := f.project("one")
		bob := f.user("bob", Builder)
		text, token, err := f.CreateToken(ctx, f.ada, NewToken{Name: "ci", Role: Viewer})
		f.must(err)
		f.must(f.SetSecret(ctx, f.ada, openVault(t, t.TempDir()), one, "git", []byte("averysecretvalue")))
		f.must(f.SetPassword(ctx, f.ada, bob.ID, "", "another long password"))
		f.must(f.SetMember(ctx, f.ada, bob.ID, one, Maintainer))
		f.must(f.RevokeToken(ctx, f.ada, token.ID))
		f.must(f.DeleteUser(ctx, f.ada, bob.ID))
		f.is(f.db.Write(ctx, func(tx *store.Tx) error {
			f.must(f.ada.Audit(ctx, tx, Change{Action: "never.happened"}))
			return ErrForbidden
		}), ErrForbidden)
		f.must(f.db.Write(ctx, func(tx *store.Tx) error {
			return f.ada.Audit(ctx, tx, Change{Action: "project.change", Object: "project one", Project: one, Detail: map[string]any{
				"git_url":  "https://bob:averysecretvalue@example.org/x.git",
				"mail":     map[string]any{"smtp_password": "averysecretvalue", "tls": true, "port": 587},
				"hooks":    []any{text, "https://example.org/?a=b@c"},
				"secrets":  []string{"averysecretvalue"},
				"password": true,
			}})
		}))
		part, err := f.db.Audit(ctx, store.AuditFilter{}, store.Page{Limit: 100})
		f.must(err)
		var actions []string
		for _, e := range part.Items {
			actions = append(actions, e.Action)
			line, err := json.Marshal(e)
			f.must(err)
			for _, secret := range []string{password, "another long password", "averysecretvalue", text, "$argon2id", base64.StdEncoding.EncodeToString([]byte("averysecretvalue"))} {
				if bytes.Contains(line, []byte(secret)) {
					t.Errorf("a secret in %s", line)
				}
			}
			if e.Action == "member.set" && (e.Who != "ada" || e.Address != "192.0.2.1" || e.Project != one || e.Object != "user bob" || string(e.Detail) != `{"role":{"from":"none","to":"maintainer"}}`) {
				t.Errorf("%s", line)
			}
			if e.Action == "project.change" && (!strings.Contains(string(e.Detail), `"tls":true`) || !strings.Contains(string(e.Detail), "587") || !strings.Contains(string(e.Detail), "?a=b@c")) {
				t.Errorf("too much is left out: %s", e.Detail)
			}
		}
		want := "project.change user.delete token.revoke member.set user.password secret.set token.create user.create session.login user.create"
		if got := strings.Join(actions, " "); got != want {
			t.Errorf("the log says %s", got)
		}
	})
}

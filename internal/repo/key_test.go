package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func TestRacingProcessesGetTheSameKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".tmp-key-1"), []byte("half a key"), 0o600); err != nil { // of a killed process
		t.Fatal(err)
	}
	keys := make([]*Key, 3)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := OpenKey(dir, "")
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = k
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, k := range keys {
		if k.Fingerprint() != keys[0].Fingerprint() || !bytes.Equal(k.Public(), keys[0].Public()) {
			t.Error("keys differ")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 { // the key and its lock
		t.Errorf("directory holds %v, %v", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	k := keys[0]
	if len(k.Fingerprint()) != 40 || !strings.HasSuffix(k.Fingerprint(), k.ID()) || !strings.HasPrefix(k.User(), "ReqPM <") {
		t.Errorf("fingerprint %s, id %s, user %s", k.Fingerprint(), k.ID(), k.User())
	}
	if bytes.Contains(k.Public(), []byte("PRIVATE")) {
		t.Error("the public key is private")
	}
}

func writeArmored(t *testing.T, kind string, serialize func(*bytes.Buffer) error) string {
	t.Helper()
	var raw, out bytes.Buffer
	if err := serialize(&raw); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&out, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.asc")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGivenKey(t *testing.T) {
	k := testKey(t)
	path := filepath.Join(t.TempDir(), "given.asc")
	if err := os.WriteFile(path, k.private, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := OpenKey("/nonexistent", path)
	if err != nil || got.Fingerprint() != k.Fingerprint() {
		t.Errorf("got %v, %v", got, err)
	}
	eddsa, err := openpgp.NewEntity("x", "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ path, want string }{
		"public only": {writeArmored(t, openpgp.PublicKeyType, func(b *bytes.Buffer) error { return k.entity.Serialize(b) }), "private one is needed"},
		"not RSA":     {writeArmored(t, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return eddsa.SerializePrivate(b, nil) }), "not an RSA key"},
		"absent":      {filepath.Join(t.TempDir(), "none"), "no such file"},
		"no key":      {writeArmored(t, "PGP MESSAGE", func(b *bytes.Buffer) error { b.WriteString("x"); return nil }), "not an armored OpenPGP key"},
	}
	for name, c := range cases {
		if _, err := OpenKey(t.TempDir(), c.path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

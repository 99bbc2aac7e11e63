package repo

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// keyFile is the private key ReqPM makes for itself, in the directory given to OpenKey.
const keyFile = "signing-key.asc"

// maxKeyFile bounds a key file; an RSA-4096 key with a few signatures has 6 kB.
const maxKeyFile = 1 << 20

// Key signs repositories. Immutable; safe for concurrent use.
type Key struct {
	entity  *openpgp.Entity
	private []byte // armored, for gpg
	public  []byte // armored
}

// OpenKey reads the armored private key in the file given, or, when given is empty, the
// key kept in dir, which is made at first use: RSA-4096, OpenPGP version 4, no expiry,
// because every rpm in service reads that. Processes racing for the first use all get
// the same key.
func OpenKey(dir, given string) (*Key, error) {
	if given != "" {
		data, err := readBounded(given)
		if err != nil {
			return nil, fmt.Errorf("read signing key: %w", err)
		}
		return parseKey(given, data)
	}
	path := filepath.Join(dir, keyFile)
	data, err := readBounded(path)
	if err == nil {
		return parseKey(path, data)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	if err := makeKey(dir, path); err != nil {
		return nil, fmt.Errorf("make signing key %s: %w", path, err)
	}
	if data, err = readBounded(path); err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	return parseKey(path, data)
}

// ID is the last 16 hexadecimal digits of the fingerprint, as rpm prints key ids.
func (k *Key) ID() string { return fmt.Sprintf("%016X", k.entity.PrimaryKey.KeyId) }

// Fingerprint is the key's whole fingerprint, 40 upper-case hexadecimal digits.
func (k *Key) Fingerprint() string { return fmt.Sprintf("%X", k.entity.PrimaryKey.Fingerprint) }

// Public is the armored public key: what gpgkey= points at.
func (k *Key) Public() []byte { return bytes.Clone(k.public) }

// User is the key's first user id, for messages.
func (k *Key) User() string {
	if id := k.entity.PrimaryIdentity(); id != nil {
		return id.Name
	}
	return k.ID()
}

// Sign makes an armored detached signature of data.
func (k *Key) Sign(data []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&out, k.entity, bytes.NewReader(data), pgpConfig()); err != nil {
		return nil, fmt.Errorf("sign with key %s: %w", k.ID(), err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// verify checks a binary detached signature made by k.
func (k *Key) verify(signed io.Reader, signature []byte) error {
	_, _, err := openpgp.VerifyDetachedSignature(openpgp.EntityList{k.entity}, signed, bytes.NewReader(signature), pgpConfig())
	return err
}

func pgpConfig() *packet.Config {
	plain := false // no salt notation: oldest gpg and rpm read these signatures
	return &packet.Config{
		Algorithm:                             packet.PubKeyAlgoRSA,
		RSABits:                               4096,
		DefaultHash:                           crypto.SHA512,
		NonDeterministicSignaturesViaNotation: &plain,
	}
}

// makeKey writes a new key to path, unless another process is first; that is as good. What a
// killed process left of a key goes: it would be a private key that nobody knows of.
func makeKey(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unlock, err := lockRoot(context.Background(), dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	left, _ := filepath.Glob(filepath.Join(globEscape(dir), ".tmp-key-*"))
	for _, old := range left {
		if err := os.Remove(old); err != nil {
			return err
		}
	}
	armored, err := newPrivateKey(dir)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".tmp-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(armored)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func newPrivateKey(dir string) ([]byte, error) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	entity, err := openpgp.NewEntity("ReqPM", "", keyOwner(host, dir), pgpConfig())
	if err != nil {
		return nil, err
	}
	entity.Subkeys = nil // an encryption subkey has no use here, and old rpm warns of it
	var out bytes.Buffer
	w, err := armor.Encode(&out, openpgp.PrivateKeyType, nil)
	if err != nil {
		return nil, err
	}
	if err := entity.SerializePrivate(w, pgpConfig()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// keyOwner is HOST/DIRECTORY with everything away that a user id may not hold.
func keyOwner(host, dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	owner := host + "/" + filepath.Base(dir)
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("()<>\\", r) {
			return '-'
		}
		return r
	}, owner)
}

// parseKey checks that data is one private key that rpm can sign with.
func parseKey(path string, data []byte) (*Key, error) {
	list, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: not an armored OpenPGP key: %w", path, err)
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("signing key %s: holds %d keys, one is needed", path, len(list))
	}
	e := list[0]
	if err := usable(e); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	var pub bytes.Buffer
	w, err := armor.Encode(&pub, openpgp.PublicKeyType, nil)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	if err := e.Serialize(w); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	pub.WriteByte('\n')
	return &Key{entity: e, private: data, public: pub.Bytes()}, nil
}

func usable(e *openpgp.Entity) error {
	switch {
	case e.PrivateKey == nil || e.PrivateKey.Dummy():
		return errors.New("it is a public key; the private one is needed")
	case e.PrivateKey.Encrypted:
		return errors.New("it has a passphrase; give a copy without one (gpg --export-secret-keys after gpg --passwd)")
	case e.PrimaryKey.Version != 4:
		return fmt.Errorf("it is an OpenPGP version %d key; rpm needs version 4", e.PrimaryKey.Version)
	case e.PrimaryKey.PubKeyAlgo != packet.PubKeyAlgoRSA:
		return errors.New("it is not an RSA key; rpm of some releases reads no other")
	}
	now := time.Now()
	if e.Revoked(now) {
		return errors.New("it is revoked")
	}
	sk, ok := e.SigningKeyById(now, e.PrimaryKey.KeyId)
	if !ok || sk.PublicKey.KeyId != e.PrimaryKey.KeyId {
		return errors.New("its primary key cannot sign (expired, or sign is not among its uses)")
	}
	for _, sub := range e.Subkeys {
		if sub.Sig != nil && sub.Sig.FlagsValid && sub.Sig.FlagSign {
			return errors.New("it has a signing subkey, which rpm of some releases cannot check; use a key that signs with its primary")
		}
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxKeyFile)
	}
	return data, nil
}

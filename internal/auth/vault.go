package auth

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"reqpm/internal/store"
)

// KeyFile is the file of a state directory that has the keys to secrets. A backup without it has no secrets, and
// every machine that uses them needs a copy.
const KeyFile = "secrets.key"

// Errors of a Vault.
var (
	ErrKeyFile = errors.New("the key file cannot be trusted")
	ErrSealed  = errors.New("the secret cannot be opened")
)

const (
	sealedVersion = 1
	keyIDSize     = 4
	nonceSize     = 12
)

// Vault seals secrets (Git tokens, SSH keys, index passwords) for the database, with AES-256-GCM and a fresh random
// nonce for each. It may be used from any goroutine.
type Vault struct {
	keys []vaultKey // the last one seals
}

type vaultKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// OpenVault reads the keys of a state directory, and makes the first where there is none. ErrKeyFile: others may
// read the file, or it is not one.
func OpenVault(dir string) (*Vault, error) {
	path := filepath.Join(dir, KeyFile)
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeKeyFile(path, keyLine(), false); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the key file %s: %w", path, err)
		}
		text, err = readKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	return parseKeys(path, text)
}

// RotateKey adds a key to a state directory's, which seals from then on; the older ones still open what they sealed.
// Processes that run go on with the keys they have read: start them again, and let one Reseal.
func RotateKey(dir string) error {
	if _, err := OpenVault(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, KeyFile)
	text, err := readKeyFile(path)
	if err != nil {
		return err
	}
	if err := writeKeyFile(path, string(text)+keyLine(), true); err != nil {
		return fmt.Errorf("write the key file %s: %w", path, err)
	}
	return nil
}

// keyLine is a new key, as a line of the file.
func keyLine() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	return base64.StdEncoding.EncodeToString(key[:]) + "\n"
}

func readKeyFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%w: %s is a link", ErrKeyFile, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys to secrets: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the keys to secrets: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a plain file", ErrKeyFile, path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: others may read or change %s (its mode is %04o); if nobody did: chmod 600 %[2]s", ErrKeyFile, path, mode)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%w: %s belongs to another user (uid %d)", ErrKeyFile, path, stat.Uid)
	}
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read the keys to secrets: %w", err)
	}
	return text, nil
}

// writeKeyFile writes the whole file or nothing; fs.ErrExist where it is there and is not to be replaced.
func writeKeyFile(path, text string, replace bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+KeyFile+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(f.Name(), path)
	}
	return os.Link(f.Name(), path) // of two that start at once, one makes the key
}

func parseKeys(path string, text []byte) (*Vault, error) {
	v := &Vault{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("%w: line %d of %s is not a key; restore the file from a backup", ErrKeyFile, i+1, path)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		sum := sha256.Sum256(append([]byte("reqpm key id\x00"), key...))
		v.keys = append(v.keys, vaultKey{id: [keyIDSize]byte(sum[:]), aead: aead})
	}
	return v, nil
}

// Seal makes of a secret what the database keeps: version, key id, nonce, ciphertext. It opens for the same
// project and name only, so that nobody who can write rows puts one secret in another's place.
func (v *Vault) Seal(project int64, name string, secret []byte) []byte {
	key := v.keys[len(v.keys)-1]
	sealed := make([]byte, 1+keyIDSize+nonceSize, 1+keyIDSize+nonceSize+len(secret)+key.aead.Overhead())
	sealed[0] = sealedVersion
	copy(sealed[1:], key.id[:])
	nonce := sealed[1+keyIDSize:]
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return key.aead.Seal(sealed, nonce, secret, sealedFor(project, name))
}

// Open is the secret of Seal: ErrSealed when it is another's, damaged, or sealed with a key that is not here.
func (v *Vault) Open(project int64, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+keyIDSize+nonceSize || sealed[0] != sealedVersion {
		return nil, fmt.Errorf("%w: %s is damaged, or of a newer version of reqpm", ErrSealed, name)
	}
	id, rest := sealed[1:1+keyIDSize], sealed[1+keyIDSize:]
	for _, key := range v.keys {
		if !bytes.Equal(key.id[:], id) {
			continue
		}
		secret, err := key.aead.Open(nil, rest[:nonceSize], rest[nonceSize:], sealedFor(project, name))
		if err != nil {
			return nil, fmt.Errorf("%w: %s is damaged, or of another project", ErrSealed, name)
		}
		return secret, nil
	}
	return nil, fmt.Errorf("%w: %s was sealed with the key %x, which is not in this state directory's %s; copy that file from the machine it was set on", ErrSealed, name, id, KeyFile)
}

func sealedFor(project int64, name string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte("reqpm secret\x00"), uint64(project)), name...)
}

// Bounds of a secret, in bytes. A shorter one could not be cut out of logs without cutting out words.
const (
	MinSecret = 6
	MaxSecret = 16 << 10
)

// SetSecret keeps a secret of a project, for its maintainers to set and for nobody to read back.
func (a *Auth) SetSecret(ctx context.Context, who Identity, v *Vault, project int64, name string, secret []byte) error {
	if err := Allowed(who, Maintainer, project); err != nil {
		return err
	}
	if err := checkLabel("a secret's name", name); err != nil {
		return err
	}
	if len(secret) < MinSecret || len(secret) > MaxSecret {
		return fmt.Errorf("%w: a secret has %d to %d bytes", ErrInvalid, MinSecret, MaxSecret)
	}
	sealed := v.Seal(project, name, secret)
	return a.store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.PutSecret(ctx, project, name, sealed); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "secret.set", Object: name, Project: project})
	})
}

// DeleteSecret is store.ErrNotFound where there is none.
func (a *Auth) DeleteSecret(ctx context.Context, who Identity, project int64, name string) error {
	if err := Allowed(who, Maintainer, project); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteSecret(ctx, project, name); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "secret.delete", Object: name, Project: project})
	})
}

// Secrets are all of a project's, by name: for the steps of its runs, which hand them to a Redactor too.
func (v *Vault) Secrets(ctx context.Context, q store.Queries, project int64) (map[string][]byte, error) {
	names, err := q.SecretNames(ctx, project)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, name := range names {
		sealed, err := q.Secret(ctx, project, name)
		if errors.Is(err, store.ErrNotFound) { // deleted meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		if all[name], err = v.Open(project, name, sealed); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Rotated tells whether there are older keys, whose secrets Reseal is for.
func (v *Vault) Rotated() bool { return len(v.keys) > 1 }

// Reseal seals anew what an older key of the vault has sealed of projects, and says how many secrets that were: for the
// server's start. Those of channels are package notify's.
func (v *Vault) Reseal(ctx context.Context, s *store.Store) (resealed int, err error) {
	for page := (store.Page{Limit: 500, Sort: "id"}); ; {
		part, err := s.Projects(ctx, store.ProjectFilter{}, page)
		if err != nil {
			return resealed, err
		}
		for _, p := range part.Items {
			n := 0
			err := s.Write(ctx, func(tx *store.Tx) (err error) {
				n, err = v.resealProject(ctx, tx, p.ID)
				return err
			})
			if err != nil {
				return resealed, fmt.Errorf("seal the secrets of the project %s anew: %w", p.Name, err)
			}
			resealed += n
		}
		if part.Next == "" {
			return resealed, nil
		}
		page.Cursor = part.Next
	}
}

func (v *Vault) resealProject(ctx context.Context, tx *store.Tx, project int64) (resealed int, err error) {
	names, err := tx.SecretNames(ctx, project)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		sealed, err := tx.Secret(ctx, project, name)
		if err != nil {
			return 0, err
		}
		again, older, err := v.Anew(project, name, sealed)
		if err != nil {
			return 0, err
		}
		if !older {
			continue
		}
		if err := tx.PutSecret(ctx, project, name, again); err != nil {
			return 0, err
		}
		resealed++
	}
	hook, err := tx.PushHook(ctx, project)
	if errors.Is(err, store.ErrNotFound) {
		return resealed, nil
	}
	if err != nil {
		return 0, err
	}
	again, older, err := v.Anew(project, PushSecretName, hook.Sealed)
	if err != nil || !older {
		return resealed, err
	}
	return resealed + 1, tx.SetPushSecret(ctx, project, again, hook.Rotated)
}

// Anew is what Seal would make of a sealed secret; older is false, and nothing made, where the newest key has sealed it.
func (v *Vault) Anew(project int64, name string, sealed []byte) (again []byte, older bool, err error) {
	newest := v.keys[len(v.keys)-1]
	if len(sealed) > keyIDSize && bytes.Equal(sealed[1:1+keyIDSize], newest.id[:]) {
		return nil, false, nil
	}
	secret, err := v.Open(project, name, sealed)
	if err != nil {
		return nil, true, err
	}
	return v.Seal(project, name, secret), true, nil
}

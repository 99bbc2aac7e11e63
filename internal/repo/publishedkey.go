package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// PublishedKey is the fingerprint of the public key that the current snapshot of a repository's root gives to clients: 40
// upper-case hexadecimal digits. fs.ErrNotExist where nothing is published.
func PublishedKey(root string) (fingerprint string, err error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", fmt.Errorf("read the key of %s: %w", root, err)
	}
	defer dir.Close()
	f, err := dir.Open(path.Join(Current, publicKey))
	if err != nil {
		return "", fmt.Errorf("read the key of %s: %w", root, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("read the key of %s: %w", root, err)
	}
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	if err == nil && len(ring) == 0 {
		err = errors.New("there is no key in it")
	}
	if err != nil {
		return "", fmt.Errorf("read the key of %s: %w", root, err)
	}
	return fmt.Sprintf("%X", ring[0].PrimaryKey.Fingerprint), nil
}

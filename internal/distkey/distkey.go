// Package distkey reads the OpenPGP keys that distributions sign their packages with: which there are,
// until when they hold, and whether they are still to be used.
package distkey

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Key is one primary key of an armoured key file.
type Key struct {
	Fingerprint string // hexadecimal, upper case
	Name        string // of its first user
	Expires     time.Time
	Revoked     bool
	named       bool // it has a user who says what it may
}

// Read reads all keys of an armoured text, as rpmkeys(8) imports it. Keys that are revoked or have
// expired at now are among them.
func Read(text []byte, now time.Time) ([]Key, error) {
	list, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the keys of a distribution: %w", err)
	}
	keys := make([]Key, 0, len(list))
	for _, e := range list {
		k := Key{Fingerprint: fmt.Sprintf("%X", e.PrimaryKey.Fingerprint), Revoked: e.Revoked(now)}
		if id := e.PrimaryIdentity(); id != nil {
			k.Name, k.named = id.Name, true
			// 0 is never (RFC 9580, 5.2.3.13).
			if s := id.SelfSignature; s != nil && s.KeyLifetimeSecs != nil && *s.KeyLifetimeSecs > 0 {
				k.Expires = e.PrimaryKey.CreationTime.Add(time.Duration(*s.KeyLifetimeSecs) * time.Second)
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Usable tells whether packages signed with the key are accepted at a time.
func (k Key) Usable(at time.Time) bool {
	return k.named && !k.Revoked && (k.Expires.IsZero() || at.Before(k.Expires))
}

// ID is the end of the fingerprint, as rpm and dnf show it.
func (k Key) ID() string {
	if raw, err := hex.DecodeString(k.Fingerprint); err != nil || len(raw) < 8 {
		return k.Fingerprint
	}
	return k.Fingerprint[len(k.Fingerprint)-16:]
}

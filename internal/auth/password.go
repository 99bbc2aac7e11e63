package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Cost is what one hash of a password takes.
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultCost is the second recommendation of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
var DefaultCost = Cost{Memory: 64 * 1024, Passes: 3, Threads: 4}

// What a password may be, in bytes.
const (
	MinPassword = 12
	MaxPassword = 1024
)

const (
	hashSlots = 2                // hashes at once: two need 128 MiB
	hashWait  = 10 * time.Second // longest wait for a slot
	saltSize  = 16
	keySize   = 32
)

// hasher hashes passwords with argon2id, a few at a time: logins cannot exhaust the memory.
type hasher struct {
	cost  Cost
	slots chan struct{}
	dummy string // a hash that no password has, of the same cost
}

func newHasher(cost Cost) *hasher {
	h := &hasher{cost: cost, slots: make(chan struct{}, hashSlots)}
	h.dummy = phc{Cost: cost, salt: make([]byte, saltSize), key: make([]byte, keySize)}.String()
	return h
}

// checkPassword says what is wrong with a new password.
func checkPassword(password string) error {
	switch {
	case len(password) < MinPassword:
		return fmt.Errorf("%w: a password has at least %d characters", ErrInvalid, MinPassword)
	case len(password) > MaxPassword:
		return fmt.Errorf("%w: a password has at most %d bytes", ErrInvalid, MaxPassword)
	case !utf8.ValidString(password):
		return fmt.Errorf("%w: a password is UTF-8 text", ErrInvalid)
	}
	return nil
}

// hash makes the text that is kept of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	p := phc{Cost: h.cost, salt: make([]byte, saltSize)}
	_, _ = rand.Read(p.salt) // never fails (crypto/rand)
	var err error
	if p.key, err = h.derive(ctx, password, p, keySize); err != nil {
		return "", err
	}
	return p.String(), nil
}

// verify says whether a password is the one that was hashed, and whether the hash should be made anew at today's
// cost. An empty hash is nobody's: it takes as long and is never right.
func (h *hasher) verify(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	p, err := parsePHC(hash)
	if err != nil {
		return false, false, err
	}
	if len(password) > MaxPassword { // nobody's, and not worth hashing
		password, known = "", false
	}
	key, err := h.derive(ctx, password, p, len(p.key))
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(key, p.key) == 1
	return same && known, p.Cost != h.cost, nil
}

// derive waits for a slot: *BusyError when there is none for too long.
func (h *hasher) derive(ctx context.Context, password string, p phc, size int) ([]byte, error) {
	wait, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
	case <-wait.Done():
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("check a password: %w", err)
		}
		return nil, &BusyError{RetryAfter: hashWait}
	}
	defer func() { <-h.slots }()
	// The same character may come as one code point from one keyboard and as two from another (RFC 8265, section 4.2).
	text := norm.NFC.String(password)
	return argon2.IDKey([]byte(text), p.salt, p.Passes, p.Memory, p.Threads, uint32(size)), nil
}

// phc is a hash in the form that argon2's own tools write:
// $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH.
type phc struct {
	Cost
	salt, key []byte
}

var errHash = errors.New("not a password hash of argon2id")

func (p phc) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Passes, p.Threads, encode(p.salt), encode(p.key))
}

// parsePHC reads a hash. Its bounds keep a damaged database from asking for all memory.
func parsePHC(text string) (phc, error) {
	fields := strings.Split(text, "$")
	if len(text) > 512 || len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, errHash
	}
	costs := strings.Split(fields[3], ",")
	if len(costs) != 3 {
		return phc{}, errHash
	}
	var numbers [3]uint32
	for i, bound := range []struct {
		name     string
		min, max uint32
	}{{"m=", 8, 1 << 20}, {"t=", 1, 64}, {"p=", 1, 64}} {
		digits, ok := strings.CutPrefix(costs[i], bound.name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || uint32(n) < bound.min || uint32(n) > bound.max || strconv.FormatUint(n, 10) != digits {
			return phc{}, errHash
		}
		numbers[i] = uint32(n)
	}
	p := phc{Cost: Cost{Memory: numbers[0], Passes: numbers[1], Threads: uint8(numbers[2])}}
	if p.Memory < 8*uint32(p.Threads) { // RFC 9106, section 3.1
		return phc{}, errHash
	}
	var err, err2 error
	p.salt, err = base64.RawStdEncoding.Strict().DecodeString(fields[4])
	p.key, err2 = base64.RawStdEncoding.Strict().DecodeString(fields[5])
	if err != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.key) < 16 || len(p.key) > 64 {
		return phc{}, errHash
	}
	return p, nil
}

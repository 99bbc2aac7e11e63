package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"slices"
	"strings"
	"time"

	"reqpm/internal/store"
)

const (
	tokenPrefix = "rqp_"
	tokenDigits = 43 // of base62: 256 bits
	checkDigits = 6  // of base62: CRC-32
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// How long tokens live.
const (
	DefaultTokenLife = 90 * 24 * time.Hour
	MaxTokenLife     = 366 * 24 * time.Hour
)

// newToken makes a token. Like those of other forges it says by a prefix and a checksum what it is, so that scanners
// for lost secrets find it and find nothing else.
func newToken() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	digits := toBase62(new(big.Int).SetBytes(raw[:]), tokenDigits)
	return tokenPrefix + digits + checksum(digits)
}

// checkToken says whether a text is a token that newToken could have made.
func checkToken(text string) bool {
	digits, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(digits) != tokenDigits+checkDigits || strings.Trim(digits, base62) != "" {
		return false
	}
	return checksum(digits[:tokenDigits]) == digits[tokenDigits:]
}

func checksum(digits string) string {
	return toBase62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(digits)))), checkDigits)
}

func toBase62(n *big.Int, width int) string {
	digits := make([]byte, width)
	base, digit := big.NewInt(int64(len(base62))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		digits[i] = base62[digit.Int64()]
	}
	return string(digits)
}

// digest is what is kept of tokens, sessions and keys: of 256 random bits a plain digest tells nothing.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// NewToken is what is asked for.
type NewToken struct {
	Name    string        // for people: where it is used
	Role    Role          // the most it may do
	Project int64         // the only project it may touch; 0: all
	For     time.Duration // how long it lives; 0: DefaultTokenLife
}

// CreateToken makes a token of whoever asks, and returns its text, which is nowhere else and never shown again. It can do
// no more than who asks, and a token's token lives no longer: ErrForbidden. ErrInvalid says
// what is wrong otherwise.
func (a *Auth) CreateToken(ctx context.Context, who Identity, want NewToken) (text string, token store.Token, err error) {
	if want.For == 0 {
		want.For = DefaultTokenLife
	}
	if want.Role < Viewer || want.Role > Admin {
		return "", token, fmt.Errorf("%w: a token needs a role", ErrInvalid)
	}
	if want.For < time.Minute || want.For > MaxTokenLife {
		return "", token, fmt.Errorf("%w: a token lives between a minute and %d days", ErrInvalid, MaxTokenLife/(24*time.Hour))
	}
	if err := checkLabel("a token's name", want.Name); err != nil {
		return "", token, err
	}
	if who.Anonymous() {
		return "", token, ErrUnauthenticated
	}
	if err := Allowed(who, want.Role, want.Project); err != nil {
		return "", token, err
	}
	text = newToken()
	token = store.Token{Hash: digest(text), Name: want.Name, Owner: who.User, Role: want.Role.String(), Project: want.Project, Expires: time.Now().Add(want.For)}
	if end := who.credential.expires; who.Token != 0 && (end.IsZero() || token.Expires.After(end)) {
		token.Expires = end
	}
	err = a.store.Write(ctx, func(tx *store.Tx) error {
		var err error
		if token, err = tx.CreateToken(ctx, token); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "token.create", Object: tokenObject(token), Project: token.Project,
			Detail: map[string]any{"role": token.Role, "expires": token.Expires}})
	})
	if err != nil {
		return "", store.Token{}, err
	}
	token.Hash = ""
	return text, token, nil
}

func tokenObject(t store.Token) string { return fmt.Sprintf("token %d %s", t.ID, t.Name) }

// Tokens are one's own; an admin's are everybody's, and a token knows but itself. Hashes are left out.
func (a *Auth) Tokens(ctx context.Context, who Identity) ([]store.Token, error) {
	if who.Anonymous() {
		return nil, ErrUnauthenticated
	}
	admin := Allowed(who, Admin, 0) == nil
	owner := who.User
	if admin {
		owner = 0
	}
	all, err := a.store.Tokens(ctx, owner)
	if who.Token != 0 && !admin {
		all = slices.DeleteFunc(all, func(t store.Token) bool { return t.ID != who.Token })
	}
	for i := range all {
		all[i].Hash = ""
	}
	return all, err
}

// RevokeToken ends a token, one's own or as an admin anybody's: store.ErrNotFound where there is none to end.
func (a *Auth) RevokeToken(ctx context.Context, who Identity, id int64) error {
	all, err := a.Tokens(ctx, who)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.ID != id {
			continue
		}
		return a.store.Write(ctx, func(tx *store.Tx) error {
			if err := tx.DeleteToken(ctx, id); err != nil {
				return err
			}
			return who.Audit(ctx, tx, Change{Action: "token.revoke", Object: tokenObject(t), Project: t.Project})
		})
	}
	return fmt.Errorf("revoke the token %d: %w", id, store.ErrNotFound)
}

// withToken is whom a token stands for: ErrUnauthenticated where it stands for nobody.
func (a *Auth) withToken(ctx context.Context, text string) (Identity, error) {
	if !checkToken(text) {
		return Identity{}, fmt.Errorf("%w: that is not a token of ReqPM", ErrUnauthenticated)
	}
	return a.tokenIdentity(ctx, digest(text))
}

func (a *Auth) tokenIdentity(ctx context.Context, hash string) (Identity, error) {
	t, err := a.store.TokenByHash(ctx, hash)
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, fmt.Errorf("%w: the token has expired or was revoked", ErrUnauthenticated)
	}
	if err != nil {
		return Identity{}, err
	}
	// A token that nobody owns was made on the command line, or by one that was: its own role is all.
	who := Identity{Name: "token " + t.Name, role: Admin}
	if t.Owner != 0 {
		if who, err = a.userIdentity(ctx, t.Owner); err != nil {
			return Identity{}, err
		}
	}
	who.Token, who.tokenName = t.ID, t.Name
	who.ceiling, who.only = stored(t.Role), t.Project
	who.credential = credential{kind: "token", hash: t.Hash, expires: t.Expires}
	// The store keeps minutes: most requests write nothing.
	if time.Since(t.LastUsed) > time.Minute && time.Since(time.Unix(a.untouched.Load(), 0)).Abs() > time.Minute {
		a.touch(ctx, t.ID)
	}
	return who, nil
}

// touch notes that a token was used. Nobody waits for that: a reader must not notice that the database cannot be written. One is
// noted at a time; the next request with another token tries again.
func (a *Auth) touch(ctx context.Context, token int64) {
	if !a.touching.CompareAndSwap(false, true) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer a.touching.Store(false)
		if err := a.store.TouchToken(ctx, token); err != nil {
			a.untouched.Store(time.Now().Unix())
			a.log.WarnContext(ctx, "a token's last use was not noted", "token", token, "error", err)
		}
	}()
}

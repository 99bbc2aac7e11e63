// Package auth says who asks and what they may: people with passwords, sessions, tokens, roles; and it keeps what must
// not be read: secrets sealed in the database and cut out of logs.
//
//	Authenticate(request) → Identity → Allowed(identity, role, project)
//
// API, pages, event streams and files all ask these two. Changes to people, tokens and secrets are written with their
// audit entry in one transaction. Nothing that lets somebody in is kept readable: of passwords argon2id hashes, of
// tokens, sessions and the first admin's link SHA-256 digests.
//
// All methods may be called from any goroutine.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"reqpm/internal/store"
)

// ErrInvalid is wrapped with what is wrong with a value that somebody gave: 422 in HTTP's words.
var ErrInvalid = errors.New("not valid")

// Config is what New needs; only Store has no default.
type Config struct {
	Store *store.Store
	// Secure says that browsers come by HTTPS: here, or at a proxy in front. Without it, the session's cookie travels
	// in the clear, which is for loopback only.
	Secure bool
	// Proxies are the addresses whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Origins are other sites (scheme://host[:port]) whose pages may send requests with a session.
	Origins []string
	// SessionIdle ends a session that is not used, SessionMax any: 7 and 30 days.
	SessionIdle, SessionMax time.Duration
	Cost                    Cost         // of password hashes: DefaultCost
	Log                     *slog.Logger // nil: nothing is logged
}

// Auth decides who may do what.
type Auth struct {
	store     *store.Store
	secure    bool
	proxies   []netip.Prefix
	origins   *http.CrossOriginProtection
	idle      time.Duration
	longest   time.Duration
	hasher    *hasher
	byAddress *limiter
	byName    *limiter
	log       *slog.Logger
	untouched atomic.Int64 // when the last use of a token could not be noted, in Unix seconds
	touching  atomic.Bool  // the last use of a token is being noted
}

// New makes an Auth. It needs no end: its goroutines last as long as one statement. ErrInvalid: an origin is not one.
func New(cfg Config) (*Auth, error) {
	a := &Auth{
		store: cfg.Store, secure: cfg.Secure, proxies: cfg.Proxies, origins: http.NewCrossOriginProtection(), log: cfg.Log,
		idle: cfg.SessionIdle, longest: cfg.SessionMax,
		// A person who has forgotten which password it was gets 10 tries; somebody who guesses gets 240 an hour
		// against one user, from all the world.
		byAddress: newLimiter(20, 5*time.Second, 20_000),
		byName:    newLimiter(10, 15*time.Second, 20_000),
	}
	for _, origin := range cfg.Origins {
		if err := a.origins.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("%w: the origin %q: %w", ErrInvalid, origin, err)
		}
	}
	if a.idle == 0 {
		a.idle = 7 * 24 * time.Hour
	}
	if a.longest == 0 {
		a.longest = 30 * 24 * time.Hour
	}
	if cfg.Cost == (Cost{}) {
		cfg.Cost = DefaultCost
	}
	a.hasher = newHasher(cfg.Cost)
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a, nil
}

// SettingAnonymousRole is the setting that has the role of whoever has not logged in; unset, it is none.
const SettingAnonymousRole = "auth.anonymous_role"

// SetAnonymousRole changes what everybody may do without logging in: Maintainer at most.
func (a *Auth) SetAnonymousRole(ctx context.Context, who Identity, role Role) error {
	if err := Allowed(who, Admin, 0); err != nil {
		return err
	}
	if role < None || role > Maintainer {
		return fmt.Errorf("%w: everybody cannot be %s", ErrInvalid, role)
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		was, err := tx.Setting(ctx, SettingAnonymousRole)
		if err != nil {
			return err
		}
		if err := tx.SetSetting(ctx, SettingAnonymousRole, role.String()); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "settings.change", Object: SettingAnonymousRole, Detail: map[string]any{"value": FromTo(stored(was), role)}})
	})
}

// userName is what names may be: they stand in logs, addresses and files. Capitals are made small.
var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

func checkName(name string) (string, error) {
	name = strings.ToLower(name)
	if !userName.MatchString(name) {
		return "", fmt.Errorf("%w: a user's name has 1 to 64 of a-z, 0-9 and . _ @ -, and begins with a letter or digit", ErrInvalid)
	}
	return name, nil
}

// checkLabel is for one line of text that people read.
func checkLabel(what, text string) error {
	if text == "" || len(text) > 100 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%w: %s has 1 to 100 bytes of printable text", ErrInvalid, what)
	}
	return nil
}

package auth

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"reqpm/internal/store"
)

// ErrSetup says that a link of AdminLink is wrong, used or too old.
var ErrSetup = errors.New("this link is not valid (any more): start the server again to get a new one")

// How long a link of AdminLink is good.
const setupLife = 24 * time.Hour

// settingSetup has the digest of the link's key, for as long as it can be used.
const settingSetup = "auth.setup"

type setupKey struct {
	Hash    string    `json:"hash"`
	Expires time.Time `json:"expires"`
}

// AdminLink is the path, with its key, at which the first admin chooses name and password; "" where there is an admin. It
// is good once, for 24 hours, and until the next one is made.
func (a *Auth) AdminLink(ctx context.Context) (path string, err error) {
	key := randomKey()
	err = a.store.Write(ctx, func(tx *store.Tx) error {
		path = ""
		if any, err := hasAdmin(ctx, tx.Queries); err != nil || any {
			return err
		}
		path = "/setup?" + url.Values{"key": {key}}.Encode()
		text, err := json.Marshal(setupKey{digest(key), time.Now().Add(setupLife).UTC()})
		if err != nil {
			return err
		}
		return tx.SetSetting(ctx, settingSetup, string(text))
	})
	if err != nil {
		return "", fmt.Errorf("make a link for the first admin: %w", err)
	}
	return path, nil
}

// CheckSetup is ErrSetup when Setup would say so of the key: for the page that asks for a name.
func (a *Auth) CheckSetup(ctx context.Context, key string) error {
	return checkSetup(ctx, a.store.Queries, key)
}

func checkSetup(ctx context.Context, q store.Queries, key string) error {
	text, err := q.Setting(ctx, settingSetup)
	if err != nil {
		return err
	}
	var kept setupKey
	if json.Unmarshal([]byte(text), &kept) != nil || subtle.ConstantTimeCompare([]byte(digest(key)), []byte(kept.Hash)) != 1 || !time.Now().Before(kept.Expires) {
		return ErrSetup
	}
	if any, err := hasAdmin(ctx, q); err != nil || any {
		return errors.Join(err, ErrSetup)
	}
	return nil
}

// Setup makes the first admin: ErrSetup, ErrInvalid, store.ErrConflict. After that the link is worth nothing. address is of
// whoever asks, for the audit log.
func (a *Auth) Setup(ctx context.Context, address, key, name, password string) (store.User, error) {
	if err := a.CheckSetup(ctx, key); err != nil { // before anything is hashed
		return store.User{}, err
	}
	u, err := a.newUser(ctx, name, password, Admin)
	if err != nil {
		return store.User{}, err
	}
	err = a.store.Write(ctx, func(tx *store.Tx) error {
		if err := checkSetup(ctx, tx.Queries, key); err != nil {
			return err
		}
		if err := tx.SetSetting(ctx, settingSetup, ""); err != nil {
			return err
		}
		if u, err = tx.CreateUser(ctx, u); err != nil {
			return err
		}
		who := Identity{User: u.ID, Name: u.Name, Address: address, role: Admin, ceiling: Admin, credential: credential{kind: "setup"}}
		return who.Audit(ctx, tx, Change{Action: "user.create", Object: "user " + u.Name, Detail: map[string]any{"role": Admin, "by": "the first start's link"}})
	})
	u.Hash = ""
	if err != nil {
		return store.User{}, err
	}
	return u, nil
}

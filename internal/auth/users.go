package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"reqpm/internal/store"
)

// ErrLastAdmin says that nobody could change anything any more.
var ErrLastAdmin = errors.New("this is the last admin")

// CreateUser is for admins: store.ErrConflict where the name is taken, ErrInvalid.
func (a *Auth) CreateUser(ctx context.Context, who Identity, name, password string, role Role) (store.User, error) {
	if err := Allowed(who, Admin, 0); err != nil {
		return store.User{}, err
	}
	u, err := a.newUser(ctx, name, password, role)
	if err != nil {
		return u, err
	}
	err = a.store.Write(ctx, func(tx *store.Tx) error {
		if u, err = tx.CreateUser(ctx, u); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "user.create", Object: "user " + u.Name, Detail: map[string]any{"role": role}})
	})
	u.Hash = ""
	return u, err
}

// newUser is a user as it will be kept.
func (a *Auth) newUser(ctx context.Context, name, password string, role Role) (u store.User, err error) {
	if u.Name, err = checkName(name); err != nil {
		return store.User{}, err
	}
	if u.Hash, err = a.hasher.hash(ctx, password); err != nil {
		return store.User{}, err
	}
	u.Role = role.String()
	return u, nil
}

// SetPassword changes one's own password, which takes the old one, or as an admin somebody else's, which does not (old is
// not looked at). All of the user's sessions end. ErrLogin: the old one is wrong; *LimitError, *BusyError: not tried.
func (a *Auth) SetPassword(ctx context.Context, who Identity, user int64, old, password string) error {
	self := who.User != 0 && who.User == user
	if !self {
		if err := Allowed(who, Admin, 0); err != nil {
			return err
		}
	} else if who.Token != 0 {
		return fmt.Errorf("%w: a password is changed by its user, not with a token", ErrForbidden)
	}
	u, err := a.store.User(ctx, user)
	if err != nil {
		return err
	}
	if self {
		if wait := a.byName.take(digest(u.Name)); wait > 0 {
			return &LimitError{RetryAfter: wait}
		}
		ok, _, err := a.hasher.verify(ctx, u.Hash, old)
		if err != nil {
			return err
		}
		if !ok {
			return ErrLogin
		}
		a.byName.give(digest(u.Name))
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return a.changeUser(ctx, who, user, "user.password", func(now *store.User) error {
		if self && now.Hash != u.Hash { // changed while the old one was checked
			return ErrLogin
		}
		now.Hash = hash
		return nil
	})
}

// UserChange is what ChangeUser changes; nil leaves what is there.
type UserChange struct {
	Role *Role // on the whole server
	// Disabled locks a user out, with all sessions and tokens, or lets them in again.
	Disabled *bool
	// If, where there is one, is asked in the transaction whether the user, without the hash, is as the caller thinks.
	If func(store.User) error
}

// ChangeUser is for admins: ErrLastAdmin, store.ErrNotFound, ErrInvalid.
func (a *Auth) ChangeUser(ctx context.Context, who Identity, user int64, c UserChange) error {
	if err := Allowed(who, Admin, 0); err != nil {
		return err
	}
	if c.Role != nil && (*c.Role < None || *c.Role > Admin) {
		return fmt.Errorf("%w: there is no such role", ErrInvalid)
	}
	return a.changeUser(ctx, who, user, "user.change", func(u *store.User) error {
		if c.If != nil {
			shown := *u
			shown.Hash = ""
			if err := c.If(shown); err != nil {
				return err
			}
		}
		if c.Role != nil {
			u.Role = c.Role.String()
		}
		if c.Disabled != nil {
			u.Disabled = *c.Disabled
		}
		return nil
	})
}

// Users are for admins; hashes are left out.
func (a *Auth) Users(ctx context.Context, who Identity, p store.Page) (store.Part[store.User], error) {
	if err := Allowed(who, Admin, 0); err != nil {
		return store.Part[store.User]{}, err
	}
	part, err := a.store.Users(ctx, p)
	for i := range part.Items {
		part.Items[i].Hash = ""
	}
	return part, err
}

// User is one, without the hash, for admins and for the user: store.ErrNotFound, ErrForbidden.
func (a *Auth) User(ctx context.Context, who Identity, id int64) (store.User, error) {
	if who.User != id || id == 0 {
		if err := Allowed(who, Admin, 0); err != nil {
			return store.User{}, err
		}
	}
	u, err := a.store.User(ctx, id)
	u.Hash = ""
	return u, err
}

// changeUser changes a user in one transaction. Where the password or whether they are disabled changes, their sessions
// end.
func (a *Auth) changeUser(ctx context.Context, who Identity, id int64, action string, change func(*store.User) error) error {
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, id)
		if err != nil {
			return err
		}
		was := u
		if err := change(&u); err != nil {
			return err
		}
		if err := tx.UpdateUser(ctx, u); err != nil {
			return err
		}
		if err := stillAdmin(ctx, tx, was); err != nil {
			return err
		}
		if u.Hash != was.Hash || u.Disabled != was.Disabled {
			if err := tx.DeleteSessions(ctx, id); err != nil {
				return err
			}
		}
		detail := Differences(map[string]any{"role": stored(was.Role), "disabled": was.Disabled}, map[string]any{"role": stored(u.Role), "disabled": u.Disabled})
		return who.Audit(ctx, tx, Change{Action: action, Object: "user " + u.Name, Detail: detail})
	})
}

// DeleteUser takes a user's sessions, tokens and memberships too: ErrLastAdmin, store.ErrNotFound.
func (a *Auth) DeleteUser(ctx context.Context, who Identity, user int64) error {
	if err := Allowed(who, Admin, 0); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		if err := tx.DeleteUser(ctx, user); err != nil {
			return err
		}
		if err := stillAdmin(ctx, tx, u); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "user.delete", Object: "user " + u.Name})
	})
}

// stillAdmin is ErrLastAdmin when the one that was changed was an admin and no other is.
func stillAdmin(ctx context.Context, tx *store.Tx, changed store.User) error {
	if stored(changed.Role) != Admin || changed.Disabled {
		return nil
	}
	any, err := hasAdmin(ctx, tx.Queries)
	if err == nil && !any {
		err = fmt.Errorf("%w: make another first", ErrLastAdmin)
	}
	return err
}

// hasAdmin says whether there is an admin who can log in.
func hasAdmin(ctx context.Context, q store.Queries) (bool, error) {
	for page := (store.Page{Limit: 500}); ; {
		part, err := q.Users(ctx, page)
		if err != nil {
			return false, err
		}
		for _, u := range part.Items {
			if stored(u.Role) == Admin && !u.Disabled {
				return true, nil
			}
		}
		if part.Next == "" {
			return false, nil
		}
		page.Cursor = part.Next
	}
}

// Member is a user's role in a project.
type Member struct {
	User int64
	Name string
	Role Role
}

// Members are who has a role in a project beyond that on the server, by name: for its maintainers.
func (a *Auth) Members(ctx context.Context, who Identity, project int64) ([]Member, error) {
	if err := Allowed(who, Maintainer, project); err != nil {
		return nil, err
	}
	kept, err := a.store.Members(ctx, 0, project)
	if err != nil {
		return nil, err
	}
	all := make([]Member, 0, len(kept))
	for _, m := range kept {
		u, err := a.store.User(ctx, m.User)
		if err != nil {
			return nil, err
		}
		all = append(all, Member{User: u.ID, Name: u.Name, Role: stored(m.Role)})
	}
	slices.SortFunc(all, func(x, y Member) int { return strings.Compare(x.Name, y.Name) })
	return all, nil
}

// SetMember gives a user a role in a project beyond that on the server, or takes it away (None). It is for the project's
// maintainers, who can give no more than they have.
func (a *Auth) SetMember(ctx context.Context, who Identity, user, project int64, role Role) error {
	if project == 0 {
		return fmt.Errorf("%w: members are of a project", ErrInvalid)
	}
	if err := Allowed(who, max(Maintainer, role), project); err != nil {
		return err
	}
	return a.store.Write(ctx, func(tx *store.Tx) error {
		u, err := tx.User(ctx, user)
		if err != nil {
			return err
		}
		members, err := tx.Members(ctx, user, project)
		if err != nil {
			return err
		}
		was := None
		for _, m := range members { // nobody takes away what they could not give
			was = stored(m.Role)
			if err := Allowed(who, stored(m.Role), project); err != nil {
				return err
			}
		}
		name := role.String()
		if role == None {
			name = ""
		}
		if err := tx.SetMember(ctx, user, project, name); err != nil {
			return err
		}
		return who.Audit(ctx, tx, Change{Action: "member.set", Object: "user " + u.Name, Project: project, Detail: map[string]any{"role": FromTo(was, role)}})
	})
}

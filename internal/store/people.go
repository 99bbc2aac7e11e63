package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// User is a person.
type User struct {
	ID       int64
	Name     string // unique
	Hash     string // of the password, argon2id
	Role     string // viewer, builder, maintainer, admin
	Disabled bool
	Created  time.Time
}

const userColumns = "id, name, hash, role, disabled, created"

func scanUser(row scanner) (u User, err error) {
	err = row.Scan(&u.ID, &u.Name, &u.Hash, &u.Role, &u.Disabled, timeColumn{&u.Created})
	return u, err
}

// CreateUser is ErrConflict where a user has the name.
func (q Queries) CreateUser(ctx context.Context, u User) (User, error) {
	u.Created = now()
	var err error
	u.ID, err = q.insert(ctx, "create the user "+u.Name, "INSERT INTO users (name, hash, role, disabled, created) VALUES ($1, $2, $3, $4, $5)", u.Name, u.Hash, u.Role, u.Disabled, millis(u.Created))
	return u, err
}

// UpdateUser writes everything but ID and Created.
func (q Queries) UpdateUser(ctx context.Context, u User) error {
	return q.must(ctx, "change the user "+u.Name, "UPDATE users SET name = $2, hash = $3, role = $4, disabled = $5 WHERE id = $1", u.ID, u.Name, u.Hash, u.Role, u.Disabled)
}

// DeleteUser takes sessions, tokens and memberships with it.
func (q Queries) DeleteUser(ctx context.Context, id int64) error {
	return q.must(ctx, "delete a user", "DELETE FROM users WHERE id = $1", id)
}

// User is ErrNotFound where there is none.
func (q Queries) User(ctx context.Context, id int64) (User, error) {
	return one(ctx, q, "read a user", scanUser, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
}

// UserNamed is ErrNotFound where there is none.
func (q Queries) UserNamed(ctx context.Context, name string) (User, error) {
	return one(ctx, q, "read a user", scanUser, "SELECT "+userColumns+" FROM users WHERE name = $1", name)
}

// Users lists users; sorted by id or name.
func (q Queries) Users(ctx context.Context, p Page) (Part[User], error) {
	return listing[User]{
		what: "list users", query: "SELECT " + userColumns + " FROM users", id: "id", scan: scanUser,
		orders: map[string]order{"name": {"name", false}},
		key:    func(u User, _ string) (any, int64) { return u.Name, u.ID },
	}.page(ctx, q, where{}, p)
}

// SetMember gives a user a role in one project; "" takes it away.
func (q Queries) SetMember(ctx context.Context, user, project int64, role string) error {
	if role == "" {
		_, err := q.exec(ctx, "remove a member", "DELETE FROM members WHERE user_id = $1 AND project = $2", user, project)
		return err
	}
	_, err := q.exec(ctx, "set a member's role", "INSERT INTO members (user_id, project, role) VALUES ($1, $2, $3) ON CONFLICT (user_id, project) DO UPDATE SET role = excluded.role", user, project, role)
	return err
}

// Member is a user's role in one project.
type Member struct {
	User, Project int64
	Role          string
}

// Members are a user's roles by project; a project's by user when user is 0.
func (q Queries) Members(ctx context.Context, user, project int64) ([]Member, error) {
	var w where
	if user != 0 {
		w.add("user_id = ?", user)
	}
	if project != 0 {
		w.add("project = ?", project)
	}
	return many(ctx, q, "list members", func(row scanner) (m Member, err error) {
		err = row.Scan(&m.User, &m.Project, &m.Role)
		return m, err
	}, "SELECT user_id, project, role FROM members"+w.String()+" ORDER BY user_id, project", w.args...)
}

// Token lets a program in. What it is is known to who has it only; here is its hash.
type Token struct {
	ID       int64
	Hash     string
	Name     string
	Owner    int64 // the user; 0: nobody's, made on the command line
	Role     string
	Project  int64 // 0: all
	Created  time.Time
	Expires  time.Time // never: it does not
	LastUsed time.Time
}

const tokenColumns = "id, hash, name, COALESCE(owner, 0), role, COALESCE(project, 0), created, expires, last_used"

func scanToken(row scanner) (t Token, err error) {
	err = row.Scan(&t.ID, &t.Hash, &t.Name, &t.Owner, &t.Role, &t.Project, timeColumn{&t.Created}, timeColumn{&t.Expires}, timeColumn{&t.LastUsed})
	return t, err
}

// orNull is an id that may be none.
func orNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// CreateToken keeps a token's hash.
func (q Queries) CreateToken(ctx context.Context, t Token) (Token, error) {
	t.Created = now()
	var err error
	t.ID, err = q.insert(ctx, "create the token "+t.Name, "INSERT INTO tokens (hash, name, owner, role, project, created, expires, last_used) VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
		t.Hash, t.Name, orNull(t.Owner), t.Role, orNull(t.Project), millis(t.Created), millis(t.Expires))
	return t, err
}

// TokenByHash is ErrNotFound for one that is not there or has expired.
func (q Queries) TokenByHash(ctx context.Context, hash string) (Token, error) {
	return one(ctx, q, "look for a token", scanToken, "SELECT "+tokenColumns+" FROM tokens WHERE hash = $1 AND (expires = 0 OR expires > $2)", hash, millis(now()))
}

// TouchToken notes that a token was used, to the minute.
func (q Queries) TouchToken(ctx context.Context, id int64) error {
	_, err := q.exec(ctx, "note a token's use", "UPDATE tokens SET last_used = $2 WHERE id = $1 AND last_used < $3", id, millis(now()), millis(now().Add(-time.Minute)))
	return err
}

// Tokens are a user's; everybody's when owner is 0.
func (q Queries) Tokens(ctx context.Context, owner int64) ([]Token, error) {
	var w where
	if owner != 0 {
		w.add("owner = ?", owner)
	}
	return many(ctx, q, "list tokens", scanToken, "SELECT "+tokenColumns+" FROM tokens"+w.String()+" ORDER BY id DESC", w.args...)
}

// DeleteToken is ErrNotFound where there is none.
func (q Queries) DeleteToken(ctx context.Context, id int64) error {
	return q.must(ctx, "delete a token", "DELETE FROM tokens WHERE id = $1", id)
}

// Session is a user who has logged in.
type Session struct {
	Hash    string
	User    int64
	Created time.Time
	Expires time.Time
	Address string // where it began
	Agent   string // the browser or program, as it calls itself
}

const sessionColumns = "hash, user_id, created, expires, address, agent"

func scanSession(row scanner) (s Session, err error) {
	err = row.Scan(&s.Hash, &s.User, timeColumn{&s.Created}, timeColumn{&s.Expires}, &s.Address, &s.Agent)
	return s, err
}

// CreateSession keeps a session's hash.
func (q Queries) CreateSession(ctx context.Context, s Session) error {
	_, err := q.exec(ctx, "begin a session", "INSERT INTO sessions ("+sessionColumns+") VALUES ($1, $2, $3, $4, $5, $6)", s.Hash, s.User, millis(now()), millis(s.Expires), s.Address, s.Agent)
	return err
}

// SessionByHash is ErrNotFound for one that is not there or has expired.
func (q Queries) SessionByHash(ctx context.Context, hash string) (Session, error) {
	return one(ctx, q, "look for a session", scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE hash = $1 AND expires > $2", hash, millis(now()))
}

// Sessions are those of a user that have not expired, the newest first.
func (q Queries) Sessions(ctx context.Context, user int64) ([]Session, error) {
	return many(ctx, q, "list sessions", scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE user_id = $1 AND expires > $2 ORDER BY created DESC, hash", user, millis(now()))
}

// RenewSession lets a session live longer: ErrNotFound when it has ended.
func (q Queries) RenewSession(ctx context.Context, hash string, expires time.Time) error {
	return q.must(ctx, "prolong a session", "UPDATE sessions SET expires = $2 WHERE hash = $1", hash, millis(expires))
}

// DeleteSession ends one; DeleteSessions all of a user.
func (q Queries) DeleteSession(ctx context.Context, hash string) error {
	_, err := q.exec(ctx, "end a session", "DELETE FROM sessions WHERE hash = $1", hash)
	return err
}

// DeleteSessions ends all sessions of a user.
func (q Queries) DeleteSessions(ctx context.Context, user int64) error {
	_, err := q.exec(ctx, "end a user's sessions", "DELETE FROM sessions WHERE user_id = $1", user)
	return err
}

// AuditEntry is one change that somebody made.
type AuditEntry struct {
	ID      int64
	At      time.Time
	Who     string
	Address string
	Action  string
	Object  string
	Project int64 // 0: of none
	Detail  json.RawMessage
}

// AddAudit notes a change, in the transaction that makes it.
func (q Queries) AddAudit(ctx context.Context, e AuditEntry) error {
	_, err := q.exec(ctx, "write to the audit log", "INSERT INTO audit (at, who, address, action, object, project, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		millis(now()), e.Who, e.Address, e.Action, e.Object, e.Project, object(e.Detail))
	return err
}

// AuditFilter chooses changes; a zero field chooses all.
type AuditFilter struct {
	Project int64
	Who     string // part of the name of who did it
	Object  string // part of what was done, or of what it was done to
}

// Audit lists changes; sorted by id.
func (q Queries) Audit(ctx context.Context, f AuditFilter, p Page) (Part[AuditEntry], error) {
	var w where
	if f.Project != 0 {
		w.add("project = ?", f.Project)
	}
	if f.Who != "" {
		w.add(`lower(who) LIKE ? ESCAPE '\'`, "%"+likeText(strings.ToLower(f.Who))+"%")
	}
	if f.Object != "" {
		text := "%" + likeText(strings.ToLower(f.Object)) + "%"
		w.add(`(lower(object) LIKE ? ESCAPE '\' OR lower(action) LIKE ? ESCAPE '\')`, text, text)
	}
	return listing[AuditEntry]{
		what: "list changes", query: "SELECT id, at, who, address, action, object, project, detail FROM audit", id: "id",
		scan: func(row scanner) (e AuditEntry, err error) {
			var detail string
			err = row.Scan(&e.ID, timeColumn{&e.At}, &e.Who, &e.Address, &e.Action, &e.Object, &e.Project, &detail)
			e.Detail = json.RawMessage(detail)
			return e, err
		},
		key: func(e AuditEntry, _ string) (any, int64) { return e.ID, e.ID },
	}.page(ctx, q, w, p)
}

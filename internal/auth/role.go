package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"reqpm/internal/store"
)

// Role is how much somebody may do. A higher one may do all that a lower one may.
type Role int

// The roles, the lowest first.
const (
	None       Role = iota // nothing
	Viewer                 // read
	Builder                // start, cancel and retry runs
	Maintainer             // change projects, their secrets and members
	Admin                  // people, workers, settings
)

var roleNames = []string{"none", "viewer", "builder", "maintainer", "admin"}

func (r Role) String() string {
	if r < None || r > Admin {
		return "none"
	}
	return roleNames[r]
}

// ParseRole is the role of a name; "" and "none" are None.
func ParseRole(name string) (Role, error) {
	if name == "" {
		return None, nil
	}
	if i := slices.Index(roleNames, name); i >= 0 {
		return Role(i), nil
	}
	return None, fmt.Errorf("%w: there is no role %.40q, only %s", ErrInvalid, name, strings.Join(roleNames, ", "))
}

// MarshalText and UnmarshalText are for JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRole.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// stored is a role out of the database: what this program does not know is None.
func stored(name string) Role {
	r, err := ParseRole(name)
	if err != nil {
		return None
	}
	return r
}

// Errors of Authenticate and Allowed: 401 and 403 in HTTP's words.
var (
	ErrUnauthenticated = errors.New("log in first")
	ErrForbidden       = errors.New("not allowed")
)

// Identity is who asks. The zero Identity is nobody, who may do nothing.
type Identity struct {
	User    int64  // 0: no user
	Token   int64  // the token's id; 0: none was used
	Name    string // of the user; of the token, where nobody owns it
	Address string // where the request came from; "" on the command line

	// role is on the whole server, projects what members have beyond that.
	role     Role
	projects map[int64]Role
	// ceiling and only narrow a token down: to a role, and to a project unless only is 0.
	ceiling Role
	only    int64

	tokenName  string
	credential credential // for Refresh
}

// Local is whoever works on the database itself, on the command line: an admin.
func Local() Identity {
	return Identity{Name: "command line", role: Admin, ceiling: Admin, credential: credential{kind: "local"}}
}

// Anonymous says that nobody has logged in: what the Identity may is what everybody may.
func (who Identity) Anonymous() bool { return who.credential.kind == "" }

// String is how logs and the audit log name somebody.
func (who Identity) String() string {
	switch {
	case who.Token != 0 && who.User != 0:
		return fmt.Sprintf("%s (token %s)", who.Name, who.tokenName)
	case who.Token != 0:
		return "token " + who.tokenName
	case who.Anonymous():
		return "anonymous"
	}
	return who.Name
}

// Key tells whose something is that is kept for a while: of one person, or of one token, whatever it is called.
func (who Identity) Key() string {
	return fmt.Sprintf("%s %d %d", who.credential.kind, who.User, who.Token)
}

// In is the role in a project; project 0 is the server as a whole, where a token of one project has none.
// Who has None in a project should not learn that it exists.
func (who Identity) In(project int64) Role {
	if who.only != 0 && who.only != project {
		return None
	}
	role := who.role
	if project != 0 {
		role = max(role, who.projects[project])
	}
	return min(role, who.ceiling)
}

// Projects says where somebody has at least a role: in all projects, or in those listed.
func (who Identity) Projects(role Role) (all bool, ids []int64) {
	if who.only == 0 && who.In(0) >= role {
		return true, nil
	}
	if who.only != 0 {
		if who.In(who.only) >= role {
			ids = []int64{who.only}
		}
		return false, ids
	}
	for _, id := range slices.Sorted(maps.Keys(who.projects)) {
		if who.In(id) >= role {
			ids = append(ids, id)
		}
	}
	return false, ids
}

// Search is a search of no more than somebody may see: what is of their projects, workers with a role on the server, users as an admin.
func (who Identity) Search(text string, limit int) store.SearchFilter {
	f := store.SearchFilter{Text: text, Workers: who.In(0) >= Viewer, Users: who.In(0) >= Admin, Limit: limit}
	if all, ids := who.Projects(Viewer); !all {
		f.Projects = append([]int64{}, ids...) // none is not all
	}
	return f
}

// Allowed is nil when somebody has at least a role in a project (0: on the server as a whole), else
// ErrUnauthenticated for who has not logged in, and ErrForbidden. It is the one place that decides.
func Allowed(who Identity, role Role, project int64) error {
	has := who.In(project)
	if has >= role {
		return nil
	}
	where := "on this server"
	if project != 0 {
		where = "in this project"
	}
	if who.Anonymous() {
		return fmt.Errorf("%w: this needs the role %s %s", ErrUnauthenticated, role, where)
	}
	return fmt.Errorf("%w: this needs the role %s %s, %s has %s", ErrForbidden, role, where, who, has)
}

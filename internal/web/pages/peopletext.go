package pages

import (
	"errors"
	"strings"
	"time"

	"reqpm/internal/auth"
	"reqpm/internal/store"
)

// What the pages of people say.

func isLogin(err error) bool { return errors.Is(err, auth.ErrLogin) }

// lastAdmin says in people's words what an administrator cannot do.
func lastAdmin(err error) error {
	if errors.Is(err, auth.ErrLastAdmin) {
		return &invalid{"", "This is the last admin: make another first, else nobody could change anything."}
	}
	return err
}

func roleWord(role string) string {
	if role == "" || role == "none" {
		return "none"
	}
	return role
}

// expiryClass is how near the end of a token is.
func expiryClass(t store.Token, at time.Time) string {
	switch {
	case t.Expires.IsZero():
		return "faint"
	case !t.Expires.After(at):
		return "st is-failed"
	case t.Expires.Sub(at) < 7*24*time.Hour:
		return "st is-queued"
	}
	return ""
}

func scopeText(t tokenRow) string {
	return t.Role + ", " + orText(t.Project, "all projects")
}

// agentText is a browser by its name, as far as it says one; the whole text is on hover.
func agentText(agent string) string {
	for _, known := range [][2]string{{"Firefox/", "Firefox"}, {"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"reqpm", "reqpm"}} {
		if strings.Contains(agent, known[0]) {
			name := known[1]
			for _, system := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"Mac OS", "macOS"}, {"Windows", "Windows"}, {"Linux", "Linux"}} {
				if strings.Contains(agent, system[0]) {
					return name + " on " + system[1]
				}
			}
			return name
		}
	}
	return orText(firstLine(agent, 60), "Unknown program")
}

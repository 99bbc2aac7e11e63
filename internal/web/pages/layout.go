package pages

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// favicon is the picture of a state for the browser's tab.
func favicon(state string) string {
	switch state {
	case "failed", "running", "succeeded":
		return assetPath("tab-" + state + ".svg")
	case "queued", "waiting":
		return assetPath("tab-running.svg")
	}
	return assetPath("tab.svg")
}

// initials are of a name's first two words, or its first two letters.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var text string
	for _, w := range words {
		text += string([]rune(w)[:1])
	}
	if len(words) == 1 {
		text = words[0]
	}
	runes := []rune(strings.ToUpper(text))
	return string(runes[:min(2, len(runes))])
}

func errorTitle(status int) string {
	switch status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusInternalServerError:
		return "Something went wrong"
	}
	return http.StatusText(status)
}

// dockLinks are the five places that a phone shows at its foot: of a project's page, those of the project. The last leads to all
// others.
func dockLinks(f frame) []navLink {
	if len(f.Groups) == 0 {
		return nil
	}
	var links []navLink
	for _, l := range f.Groups[0].Links {
		if l.Key == "dashboard" || f.Project.ID == 0 && (l.Key == "projects" || l.Key == "queue" || l.Key == "repositories") {
			links = append(links, l)
		}
	}
	if f.Project.ID != 0 && len(f.Groups) > 1 {
		own := f.Groups[1].Links
		links = append(links, own[:min(3, len(own))]...)
	}
	more := navLink{Key: "more", Text: "More", Path: "/more", Icon: "more"}
	if f.Project.ID != 0 {
		more.Path += "?project=" + url.QueryEscape(f.Project.Name)
	}
	for _, l := range links {
		if l.Key == f.Nav {
			return append(links, more)
		}
	}
	more.State = "here" // what is open is one of those behind it
	return append(links, more)
}

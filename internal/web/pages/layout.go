package pages

import (
	"net/http"
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

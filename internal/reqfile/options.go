package reqfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// option is one option of a line with its value.
type option struct {
	name  string // the long form
	value string
	rest  string // words behind it that are neither an option nor a value, as written
}

// optionSpec is one option pip knows in requirement files.
type optionSpec struct {
	names []string // the first is the long form it goes by
	takes bool     // needs a value
}

// knownOptions lists pip's options, first those for lines of their own, then
// those for requirements, then those that are only reported: of no meaning to a
// build from source, or gone from pip but still in old files.
func knownOptions() []optionSpec {
	return []optionSpec{
		{[]string{"--index-url", "-i", "--pypi-url"}, true},
		{[]string{"--extra-index-url"}, true},
		{[]string{"--no-index"}, false},
		{[]string{"--constraint", "-c"}, true},
		{[]string{"--requirement", "-r"}, true},
		{[]string{"--editable", "-e"}, true},
		{[]string{"--find-links", "-f"}, true},
		{[]string{"--no-binary"}, true},
		{[]string{"--only-binary"}, true},
		{[]string{"--prefer-binary"}, false},
		{[]string{"--require-hashes"}, false},
		{[]string{"--pre"}, false},
		{[]string{"--trusted-host"}, true},

		{[]string{"--hash"}, true},

		{[]string{"--use-feature"}, true},
		{[]string{"--config-settings", "-C", "--config-setting"}, true},
		{[]string{"--global-option"}, true},
		{[]string{"--build-option"}, true},
		{[]string{"--install-option"}, true},
		{[]string{"--all-releases"}, true},
		{[]string{"--only-final"}, true},
		{[]string{"--no-deps-for"}, true},
		{[]string{"--process-dependency-links"}, false},
		{[]string{"--use-wheel"}, false},
		{[]string{"--no-use-wheel"}, false},
		{[]string{"--always-unzip", "-Z"}, false},
		{[]string{"--allow-all-external"}, false},
		{[]string{"--allow-external"}, true},
		{[]string{"--allow-unverified"}, true},
	}
}

// parseOptions reads the option part of a line, which starts with a dash.
func parseOptions(text string) ([]option, error) {
	words, err := splitWords(text)
	if err != nil {
		return nil, err
	}
	var opts []option
	specs := knownOptions()
	for i := 0; i < len(words); i++ {
		word := words[i]
		if len(opts) > 0 && (!strings.HasPrefix(word.value, "-") || word.value == "-") {
			end := len(text)
			for ; i+1 < len(words); i++ {
				if next := words[i+1]; strings.HasPrefix(next.value, "-") && next.value != "-" {
					end = next.start
					break
				}
			}
			last := &opts[len(opts)-1]
			last.rest = strings.TrimFunc(last.rest+" "+text[word.start:end], isSpace)
			continue
		}
		name, value, attached := cutOption(word.value)
		spec, err := findOption(specs, name)
		if err != nil {
			return nil, err
		}
		switch {
		case !spec.takes && attached:
			return nil, fmt.Errorf("option %s takes no value", name)
		case spec.takes && !attached:
			i++
			if i == len(words) {
				return nil, fmt.Errorf("option %s needs a value", name)
			}
			value = words[i].value
		}
		if spec.takes && value == "" {
			return nil, fmt.Errorf("option %s has an empty value", name)
		}
		opts = append(opts, option{name: spec.names[0], value: value})
	}
	return opts, nil
}

// cutOption splits --name=value and -nvalue.
func cutOption(word string) (name, value string, attached bool) {
	if strings.HasPrefix(word, "--") {
		return strings.Cut(word, "=")
	}
	if len(word) > 2 {
		return word[:2], word[2:], true
	}
	return word, "", false
}

// findOption knows the full names and, as Python's optparse does, beginnings of
// long names that fit only one.
func findOption(specs []optionSpec, name string) (optionSpec, error) {
	var fits []optionSpec
	var fitNames, all []string
	for _, s := range specs {
		if slices.Contains(s.names, name) {
			return s, nil
		}
		for _, n := range s.names {
			if strings.HasPrefix(n, "--") {
				all = append(all, n)
			}
			if len(name) > 2 && strings.HasPrefix(n, name) {
				fits, fitNames = append(fits, s), append(fitNames, n)
				break
			}
		}
	}
	switch len(fits) {
	case 0:
		return optionSpec{}, fmt.Errorf("unknown option %s%s", quote(name), didYouMean(nearest(name, all, 1)))
	case 1:
		return fits[0], nil
	}
	return optionSpec{}, fmt.Errorf("option %s may be short for %s", quote(name), strings.Join(fitNames, " or "))
}

// word is one word of an option line and where it starts there.
type word struct {
	value string
	start int
}

// splitWords splits as a POSIX shell does, quotes and backslashes included,
// nothing else.
func splitWords(text string) ([]word, error) {
	var words []word
	var cur strings.Builder
	start, quoteChar := -1, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		space := c == ' ' || c == '\t' || c == '\r' || c == '\n'
		if quoteChar == 0 && space {
			if start >= 0 {
				words = append(words, word{cur.String(), start})
				cur.Reset()
				start = -1
			}
			continue
		}
		if start < 0 {
			start = i
		}
		switch {
		case quoteChar != 0 && c == quoteChar:
			quoteChar = 0
		case quoteChar == 0 && (c == '\'' || c == '"'):
			quoteChar = c
		case c == '\\' && quoteChar != '\'':
			if i+1 == len(text) {
				return nil, errors.New("a backslash at the end of the line with nothing behind it")
			}
			next := text[i+1]
			if quoteChar == '"' && next != '"' && next != '\\' {
				cur.WriteByte(c)
				continue
			}
			i++
			cur.WriteByte(next)
		default:
			cur.WriteByte(c)
		}
	}
	if quoteChar != 0 {
		return nil, fmt.Errorf("a quotation mark %c that is never closed", quoteChar)
	}
	if start >= 0 {
		words = append(words, word{cur.String(), start})
	}
	return words, nil
}

// breakLine splits a line before its first word that starts with a dash:
// the requirement, then options.
func breakLine(line string) (requirement, options string) {
	for i := 0; i < len(line); i++ {
		if line[i] == '-' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return strings.TrimFunc(line[:i], isSpace), line[i:]
		}
	}
	return line, ""
}

// checkHash verifies "algorithm:digest" and gives it in lower case. pip takes
// only these three algorithms.
func checkHash(text string) (string, error) {
	algorithm, digest, found := strings.Cut(strings.ToLower(text), ":")
	if !found || digest == "" {
		return "", fmt.Errorf("a hash is written algorithm:digest, like sha256:2cf24d…, not %s", quote(text))
	}
	if algorithm != "sha256" && algorithm != "sha384" && algorithm != "sha512" {
		return "", fmt.Errorf("hash algorithm %s is none of sha256, sha384, sha512", quote(algorithm))
	}
	for _, r := range digest {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return "", fmt.Errorf("%s is no hexadecimal digest", quote(digest))
		}
	}
	return algorithm + ":" + digest, nil
}

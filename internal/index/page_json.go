package index

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// jsonFile is one element of "files" of a PEP 691 page; loose holds what has
// more than one type.
type jsonFile struct {
	Filename         string            `json:"filename"`
	URL              string            `json:"url"`
	Hashes           map[string]string `json:"hashes"`
	RequiresPython   *string           `json:"requires-python"`
	Yanked           loose             `json:"yanked"`
	Size             *int64            `json:"size"`
	UploadTime       *string           `json:"upload-time"`
	CoreMetadata     loose             `json:"core-metadata"`
	DistInfoMetadata loose             `json:"dist-info-metadata"`
}

// loose is false, true, a string or a table of hashes.
type loose struct {
	present, set bool
	text         string
	hashes       map[string]string
}

func (l *loose) UnmarshalJSON(data []byte) error {
	*l = loose{present: true}
	switch data[0] {
	case 't':
		l.set = true
	case '"':
		l.set = true
		return json.Unmarshal(data, &l.text)
	case '{':
		l.set = true
		return json.Unmarshal(data, &l.hashes)
	}
	return nil
}

// parseJSONPage reads a PEP 691 page. Elements that are not as the PEP says are left
// out; a page that is not is an error.
func parseJSONPage(body []byte, base *url.URL) ([]link, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	var links []link
	hasFiles := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, jsonTrouble(err)
		}
		switch key {
		case "meta":
			var meta struct {
				Version string `json:"api-version"`
			}
			if err := dec.Decode(&meta); err != nil {
				return nil, jsonTrouble(err)
			}
			if err := checkAPIVersion(meta.Version); err != nil {
				return nil, err
			}
		case "files":
			hasFiles = true
			if links, err = jsonFiles(dec, base, links); err != nil {
				return nil, err
			}
		default:
			var skipped json.RawMessage
			if err := dec.Decode(&skipped); err != nil {
				return nil, jsonTrouble(err)
			}
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, jsonTrouble(err)
	}
	if !hasFiles {
		return nil, errors.New(`it is JSON without "files"`)
	}
	return links, nil
}

func jsonTrouble(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON is cut off")
	}
	return fmt.Errorf("the JSON is garbled: %w", err)
}

func jsonFiles(dec *json.Decoder, base *url.URL, links []link) ([]link, error) {
	if t, err := dec.Token(); err != nil {
		return nil, jsonTrouble(err)
	} else if t != json.Delim('[') {
		return nil, errors.New(`"files" is not a list`)
	}
	for dec.More() {
		if len(links) >= maxFiles {
			return nil, fmt.Errorf("it lists more than %d files", maxFiles)
		}
		var f jsonFile
		if err := dec.Decode(&f); err != nil {
			var wrongType *json.UnmarshalTypeError
			if errors.As(err, &wrongType) {
				continue // the decoder has read past the element
			}
			return nil, jsonTrouble(err)
		}
		if l, ok := f.link(base); ok {
			links = append(links, l)
		}
	}
	_, err := dec.Token()
	if err != nil {
		return nil, jsonTrouble(err)
	}
	return links, nil
}

func (f *jsonFile) link(base *url.URL) (link, bool) {
	if f.Filename == "" || !safeFilename(f.Filename) {
		return link{}, false
	}
	address := f.URL
	if !plainURL(address) {
		u, ok := resolveLink(base, f.URL)
		if !ok {
			return link{}, false
		}
		address = cleanURL(u).String()
	}
	l := link{filename: f.Filename, url: address, yanked: f.Yanked.set, yankedReason: clip(f.Yanked.text)}
	for name, value := range f.Hashes {
		l.addHash(name, value)
	}
	if f.RequiresPython != nil {
		l.requiresPython = clip(*f.RequiresPython)
	}
	if f.Size != nil && *f.Size > 0 {
		l.size = *f.Size
	}
	if f.UploadTime != nil {
		if t, err := time.Parse(time.RFC3339Nano, *f.UploadTime); err == nil {
			l.uploaded = t.UTC()
		}
	}
	// PEP 714: the new key wins where an index sends both.
	m := f.CoreMetadata
	if !m.present {
		m = f.DistInfoMetadata
	}
	l.hasMetadata = m.set
	if sha := strings.ToLower(m.hashes["sha256"]); validSHA256(sha) {
		l.metadataSHA256 = sha
	}
	return l, true
}

// checkAPIVersion follows PEP 629: another major version is another language.
func checkAPIVersion(version string) error {
	major, _, _ := strings.Cut(version, ".")
	if version != "" && major != "1" {
		return finalError{fmt.Errorf("it speaks version %.20q of the simple API, and only 1.x is known", version)}
	}
	return nil
}

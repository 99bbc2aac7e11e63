package logview

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Hits are the lines that have a text.
type Hits struct {
	Total int   // lines that have it
	Lines []int // the first of them, up to the limit
}

// Search finds the lines of a log that have a text, whatever the case of ASCII letters and whatever colours
// are within.
func Search(ctx context.Context, log io.ReadSeeker, text string, limit int) (Hits, error) {
	hits := Hits{Lines: []int{}}
	needle := lower([]byte(text), nil)
	if len(needle) == 0 {
		return hits, nil
	}
	if _, err := log.Seek(0, io.SeekStart); err != nil {
		return hits, err
	}
	in := bufio.NewReaderSize(log, readSize)
	var buf []byte
	for n := 1; ; n++ {
		line, length, err := readLine(in, 1<<20)
		if err != nil && !errors.Is(err, io.EOF) {
			return hits, fmt.Errorf("search a log: %w", err)
		}
		if length > 0 {
			if bytes.IndexByte(line, 0x1b) >= 0 {
				line = plain(line)
			}
			buf = lower(line, buf[:0])
			if bytes.Contains(buf, needle) {
				hits.Total++
				if len(hits.Lines) < limit {
					hits.Lines = append(hits.Lines, n)
				}
			}
		}
		if err != nil {
			return hits, nil
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return hits, context.Cause(ctx)
		}
	}
}

// lower appends text with its ASCII letters in lower case.
func lower(text, to []byte) []byte {
	at := len(to)
	to = append(to, text...)
	for i, c := range to[at:] {
		if 'A' <= c && c <= 'Z' {
			to[at+i] = c + 'a' - 'A'
		}
	}
	return to
}

// plain is a line without the sequences that Render takes for colours.
func plain(line []byte) []byte {
	var out []byte
	for len(line) > 0 {
		if _, n := colour(line); n > 0 {
			line = line[n:]
			continue
		}
		out = append(out, line[0])
		line = line[1:]
	}
	return out
}

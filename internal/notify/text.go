package notify

import (
	"bytes"
	"fmt"
	"html"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
)

// mostLines bounds each part of a text.
const mostLines = 15

// part is a heading with its lines.
type part struct {
	heading string
	lines   []textLine
}

// textLine is a text, and where it leads.
type textLine struct{ text, url string }

// parts are what a text says after its title.
func (m Message) parts() []part {
	if m.Run == nil {
		return nil
	}
	about := []textLine{{text: "for " + strings.Join(m.Run.Targets, ", ")}}
	if m.Run.Commit != "" {
		about = append(about, textLine{text: strings.TrimSpace(m.Run.Ref + " at " + m.Run.Commit[:min(12, len(m.Run.Commit))])})
	}
	about = append(about, textLine{text: m.Run.Reason})
	if !m.Run.Started.IsZero() {
		about = append(about, textLine{text: "took " + m.Run.Finished.Sub(m.Run.Started).Round(time.Second).String()})
	}
	all := []part{{"", about}}
	add := func(heading string, n int, line func(i int) textLine) {
		if n == 0 {
			return
		}
		p := part{heading: heading}
		for i := range min(n, mostLines) {
			p.lines = append(p.lines, line(i))
		}
		if n > mostLines {
			p.lines = append(p.lines, textLine{text: fmt.Sprintf("and %d more", n-mostLines)})
		}
		all = append(all, p)
	}
	failure := func(list []Failure) func(int) textLine {
		return func(i int) textLine {
			f := list[i]
			text := f.What
			if f.Target != "" && !strings.HasSuffix(f.What, " "+f.Target) {
				text += " (" + f.Target + ")"
			}
			return textLine{text + ": " + f.Cause, f.URL}
		}
	}
	pkg := func(list []Package) func(int) textLine {
		return func(i int) textLine {
			return textLine{text: strings.TrimSpace(list[i].Name+" "+list[i].Version) + " (" + list[i].Target + ")"}
		}
	}
	newly := "Newly failing"
	if m.Previous == nil {
		newly = "Failing"
	}
	add(newly, len(m.NewlyFailing), failure(m.NewlyFailing))
	add("Still failing", len(m.StillFailing), failure(m.StillFailing))
	add("Fixed", len(m.Fixed), pkg(m.Fixed))
	add("New packages", len(m.Added), pkg(m.Added))
	add("Packages no longer there", len(m.Removed), pkg(m.Removed))
	add("Other versions", len(m.Changed), func(i int) textLine {
		c := m.Changed[i]
		return textLine{text: fmt.Sprintf("%s %s → %s (%s)", c.Name, c.From, c.To, c.Target)}
	})
	return all
}

// plain is the message as text.
func (m Message) plain() string {
	var b strings.Builder
	b.WriteString(m.Title + "\n")
	if m.Run != nil && m.Run.URL != "" {
		b.WriteString(m.Run.URL + "\n")
	}
	for _, p := range m.parts() {
		b.WriteString("\n")
		if p.heading != "" {
			b.WriteString(p.heading + ":\n")
		}
		for _, l := range p.lines {
			b.WriteString("- " + l.text + "\n")
			if l.url != "" {
				b.WriteString("  " + l.url + "\n")
			}
		}
	}
	return b.String()
}

// slackEscape is what Slack takes for text: nothing in it is a mention, a link or a heading.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// mrkdwn is the message as Slack's text, which Mattermost and Rocket.Chat understand too.
func (m Message) mrkdwn() string {
	var b strings.Builder
	title := "*" + slackEscape.Replace(m.Title) + "*"
	if m.Run != nil && m.Run.URL != "" {
		title = "<" + m.Run.URL + "|" + slackEscape.Replace(m.Title) + ">"
	}
	b.WriteString(title + "\n")
	for _, p := range m.parts() {
		if p.heading != "" {
			b.WriteString("*" + p.heading + "*\n")
		}
		for _, l := range p.lines {
			text := slackEscape.Replace(l.text)
			if l.url != "" {
				text = "<" + l.url + "|" + strings.ReplaceAll(text, "|", "¦") + ">"
			}
			b.WriteString("• " + text + "\n")
		}
	}
	return b.String()
}

// html is the message as Matrix shows it.
func (m Message) html() string {
	var b strings.Builder
	title := html.EscapeString(m.Title)
	if m.Run != nil && m.Run.URL != "" {
		title = `<a href="` + html.EscapeString(m.Run.URL) + `">` + title + "</a>"
	}
	b.WriteString("<strong>" + title + "</strong>")
	for _, p := range m.parts() {
		if p.heading != "" {
			b.WriteString("<p>" + html.EscapeString(p.heading) + "</p>")
		}
		b.WriteString("<ul>")
		for _, l := range p.lines {
			text := html.EscapeString(l.text)
			if l.url != "" {
				text = `<a href="` + html.EscapeString(l.url) + `">` + text + "</a>"
			}
			b.WriteString("<li>" + text + "</li>")
		}
		b.WriteString("</ul>")
	}
	return b.String()
}

// mail is the message as RFC 5322 has it. id is the same whenever the same message is sent, so that what comes twice
// can be told.
func (m Message) mail(from *mail.Address, to []*mail.Address, id string, now time.Time) []byte {
	var b bytes.Buffer
	var all []string
	for _, t := range to {
		all = append(all, t.String())
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	for _, header := range [][2]string{
		{"From", from.String()}, {"To", strings.Join(all, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", "[ReqPM] "+line(m.Title))}, {"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + id + "@" + domain + ">"}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", header[0], header[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(m.plain(), "\n", "\r\n"))) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

package browser

// preview has the plan of the form made, by the keyboard, before anything is saved.
func (b *tab) preview() {
	b.t.Helper()
	loads := b.loaded()
	b.eval("document.activeElement.blur()", nil)
	b.keys("p")
	b.until("the plan is being made", "document.querySelector('#plan').dataset.state === 'running' || document.querySelector('#plan').dataset.state === 'done'", longest)
	b.until("the plan is there", "document.querySelector('#plan').dataset.state === 'done'", longest)
	b.until("it has the packages of all three requirements and what they need", "document.querySelector('#plan-packages').textContent.includes('tool-base')", longest)
	b.until("and says so beside the target", "document.querySelector('#plan-of-local').innerText.includes('packages')", longest)
	if b.loaded() != loads {
		b.t.Error("the page was loaded again to show the plan")
	}
	var nothing bool
	b.eval("fetch('/projects').then(r => r.text()).then(t => !t.includes('/projects/"+b.project+"'))", &nothing)
	if !nothing {
		b.t.Error("there is a project after a preview")
	}
}

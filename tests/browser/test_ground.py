"""The browser that the other tests look through sees, and hears."""


def test_a_page_is_seen(page):
    page.set_content("<h1>Noise</h1><script>document.title = 'x'.repeat(3)</script>")
    assert page.text_content("h1") == "Noise"
    assert page.title() == "xxx"


def test_what_a_page_complains_of_is_heard(visit):
    visit.page.set_content("<script>console.error('lost'); throw new Error('broken')</script>")
    assert visit.complaints == ["lost", "broken"]


def test_what_a_page_asks_for_is_heard(visit):
    visit.page.goto("data:text/html,<img src='http://127.0.0.1:9/x.png'>")
    assert "http://127.0.0.1:9/x.png" in visit.requests

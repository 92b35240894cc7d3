"""Wordings for the work on fields: what is asked, how gaps are marked, what is replied."""

OPENINGS = [
    "[Read|Look at] the message and [write|return|give] [one|a] JSON object.",
    "[Copy|Pull|Take] the [details|fields|values] [from|out of] the message [into|as] [one|a] JSON object.",
    "Turn the message into [one line of |]JSON.", "[Extract|Collect] the fields [as|into] JSON.",
    "[Please |]fill [in |]the form as JSON.", "Which details does the message give? [Reply|Answer] in JSON.",
    "[Answer|Reply] with [one|a single] JSON object[ and nothing else|].",
    "[Fetch|Find] the following in the message and [return|write] JSON.", "JSON please.",
    "Make a JSON [record|object] from [this|the] message.",
        "A customer writes. [Note|Record] the data as JSON.",
    "[Write|Put] what the message says into JSON.",
        "[Sort|Put] the message into fields. Output: JSON[ only|]."]
VERBATIM = ["", "", "Copy every value [exactly |]as [it is |]written.", "Do not change the spelling.",
            "[Use|Keep] the words of the message.", "Values are copied letter by letter."]
ABSENT = {
    "null": ["Use null for [anything|a value] that is missing.", "Missing values are null.",
             "If something is not said, write null.", "Write null when absent."],
    "empty": ['Use "" for missing values.', 'Leave missing values as "".'],
    "unknown": ['Write "unknown" [for missing values|when it is not said].'],
    "drop": ["Leave out keys [that are not in the message|without a value]."]}
CATEGORY_KEYS = ["category", "topic", "label", "team", "department", "issue", "type", "subject", "intent",
        "desk"]
GROUP_KEYS = ["fields", "fields", "fields", "details", "data", "entities", "values", "slots"]
REPLY_KEYS = ["reply", "answer", "response", "text", "message", "note_to_customer"]
REPLIES = [
    "[Thank you|Thanks] for your message about {about}; "
    "we [will look into it|are looking into it] [today|now|at once].",
    "[We are sorry|Sorry] for the trouble; we will [look into|check] {about} and [write again soon|come back to you].",
    "[We have noted|We noted] {about} and will [reply|answer] [soon|within two days|tomorrow].",
    "Thank you, {about} is now with our team.",
        "[We received|We have] your message about {about} and will [help|act] soon."]
WISH_REPLIES = [
    "[Sorry|We are sorry] for the trouble with {about}; we will [see|ask] about {wish}.",
    "[Thank you|Thanks] for writing about {about}. We [have noted|understand] that you would like {wish}.",
    "We [will check|are checking] {about} and whether we can offer {wish}."]

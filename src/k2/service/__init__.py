"""`k2 serve`: runs the jobs of a home and answers over HTTP.

app         the FastAPI application, put together
guard       what every request passes: id, host, token, rate, size, time
answers     errors as one JSON sentence with the right status
routes/     jobs, streams, tables, records, health
validation   one message validated as Silver would, many at a time
server      listens, and starts and stops all of it
"""
